"""What is fuzzed: everything that reads bytes which somebody else wrote.

A target takes bytes and returns; it fails where it raises anything. What the code under it may raise is its documented
error, and nothing else: no other exception, no endless loop, no answer that lets somebody in.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from cores import CORE_IS_BUILT, front_of, hand_over
from definitions import tenant_from
from given import ACME, ALICE, BOB, BOLT, KEY
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from pki import AUDIENCE, ISSUER, Authority, Issuer
from security import client_of
from strategies import STRANGER

from fuzz.doors import batches, http
from fuzz.mutations import nearly
from fuzz.published import followed, manifests, pointers
from fuzz.target import Target
from loader.definitions.document import check_document
from loader.numbering import numbering_table
from pdp.authzen.documents import read
from pdp.authzen.evaluator import Evaluator
from pdp.authzen.search import Search
from pdp.challenges.answers import Challenges
from pdp.challenges.attempts import Limits, MemoryAttempts
from pdp.challenges.tokens import ChallengeSeal
from pdp.errors import CallError, SecurityError, Unauthenticated
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.errors import SnapshotError
from pdp.rules.model import Call, Dialling, Revision, Tenant, User
from pdp.rules.publication.delta import Delta, make_delta
from pdp.rules.snapshot.blob import Section, seal, unseal
from pdp.rules.snapshot.ruling import Policy
from pdp.rules.snapshot.snapshot import decode
from pdp.security.clients import Tokens, parse_clients
from pdp.security.jwts import Jwts, parse_keys
from pdp.security.peers import Peers, parse_revocations
from pdp.services.decisions import DecisionService
from pdp.services.directory import DirectoryService
from pdp.services.lockouts import LockoutService
from pdp.services.methods import Kind, methods
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.emergency import EmergencyCalls
from pdp.snapshots.freshness import RevisionWaiter
from rightcall import Answer, ChallengeAnswer, Decision, Stage, v1
from rightcall.agi.channel import MAX_LINE, Channel
from rightcall.agi.errors import AgiError
from rightcall.agi.metrics import AgiMetrics
from rightcall.agi.rights import CallRights
from rightcall.agi.settings import AgiSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.services.methods import Method

ROOT = Path(__file__).parents[2]
_COMPANY = (ROOT / "examples" / "company.yaml").read_bytes()
_TENANT = {
    "uuid": ACME,
    "users": [{"uuid": ALICE}],
    "outcalls": [{"id": "1"}],
    "call_permissions": [
        {"id": 1, "password": "1234", "extensions": ["_00X.", "0900!"], "users": [ALICE], "outcalls": ["1"]},
        {"id": 2, "mode": "allow", "extensions": ["_[1-9]N!"], "outcalls": ["1"]},
    ],
}
_QUESTION = v1.CheckCallRequest(caller=ALICE, extension="0033", outcall="1", tenant=ACME)


class _Server:
    """The services as ``pdp.app`` puts them together."""

    def __init__(self) -> None:
        self.blob = Compiler(secret=KEY).compile(tenant_from(_TENANT), Revision(1, "ab" * 32), compiled_at=1.5e9)
        self.current = CurrentSnapshots("fuzz")
        self.current.replace(decode(self.blob, secrets=(KEY,)))
        metrics = Metrics(self.current, "")
        rules = RevisionWaiter(self.current.resolve)
        self.seal = ChallengeSeal((KEY,), seconds=1e9)
        attempts = MemoryAttempts(Limits(3, 900.0))
        challenges = Challenges(
            self.seal, attempts, rules, secrets=(KEY,), emergency=EmergencyCalls(self.current), metrics=metrics
        )
        self.decisions = DecisionService(self.current, metrics, rules=rules, challenges=challenges)
        self.directory = DirectoryService(self.current, "")
        self.methods = methods(self.decisions, self.directory, LockoutService(self.current, None))


def _requests(server: _Server) -> Target:
    """The bytes of a gRPC request, for the method that the first byte says."""
    challenge = server.decisions.check_call(_QUESTION).challenge
    seeds: list[Message] = [
        _QUESTION,
        v1.CheckCallsRequest(calls=[_QUESTION, v1.CheckCallRequest(extension="1")]),
        v1.StreamCheckCallsRequest(id="a", call=_QUESTION),
        v1.AnswerChallengeRequest(challenge=challenge, password="1111"),
        v1.ExplainCallRequest(call=_QUESTION),
        v1.ListCallersRequest(extension="0033", tenant=ACME),
        v1.ListReachRequest(caller=ALICE, outcall="1"),
        v1.GetStatusRequest(tenant=ACME),
    ]

    def run(data: bytes) -> None:
        method = server.methods[data[0] % len(server.methods)] if data else server.methods[0]
        try:
            request = method.request.FromString(data[1:])
        except DecodeError:
            return
        with suppress(CallError):
            _check_answers(method, request)

    numbered = [bytes((at,)) + seed.SerializeToString() for seed in seeds for at in range(len(server.methods))]
    return Target(run, nearly(numbered))


def _check_answers(method: Method, request: Message) -> None:
    asked = iter([request]) if method.kind is Kind.MANY_TO_MANY else request
    answer = method.answer(asked)
    answers: Iterable[Message] = [answer] if isinstance(answer, Message) else answer
    for one in answers:
        one.SerializeToString()
        if isinstance(one, v1.AnswerChallengeResponse):
            # The seed has a wrong password; only the right one may open the call.
            assert one.decision == v1.Decision.DECISION_DENY or getattr(request, "password", "") == "1234"


def _snapshots(server: _Server) -> Target:
    """A blob from Redis or the disk."""

    def run(data: bytes) -> None:
        for secrets in ((), (KEY,)):
            try:
                snapshot = decode(data, secrets=secrets)
            except SnapshotError:
                continue
            assert data == server.blob
            snapshot.decide(ALICE, "0033", "1")

    return Target(run, nearly([server.blob], longest=len(server.blob) + 100))


def _sealed_snapshots(server: _Server) -> Target:
    """A blob whose checksum is right and whose content is not: somebody who can write to Redis, and no key in use."""
    sections = {section: bytes(extent.view) for section, extent in unseal(server.blob).items()}
    names = list(Section)

    def run(data: bytes) -> None:
        if not data:
            return
        changed = {**sections, names[data[0] % len(names)]: data[1:]}
        with suppress(SnapshotError):
            decode(seal(changed, None))

    return Target(run, nearly([bytes((at,)) + sections.get(name, b"") for at, name in enumerate(names)]))


def _core_requests() -> Target:
    """A request to the core, for CheckCall or CheckCalls: the service's response, or none where the service has none.

    By the rules of several tenants, so that all of the core has something to read.
    """
    current = _everything()
    front = front_of(current, policy=_POLICY, emergency=("112",))
    service = DecisionService(
        current, Metrics(current, ""), policy=_POLICY, emergency=EmergencyCalls(current, ("112",)), max_calls=100
    )
    seeds = [
        _QUESTION,
        v1.CheckCallRequest(extension="12", outcall="1"),
        v1.CheckCallRequest(caller=ALICE, extension="7", at_least_revision=1),
        v1.CheckCallRequest(caller=BOB, extension="+33 (0)9 00 12 34 56", outcall="1"),
        v1.CheckCallRequest(caller="desk", extension="*31#0 08 99 12 34 56#", forwarded_by=BOB, tenant=BOLT),
        v1.CheckCallRequest(caller=STRANGER, extension="1-12"),
    ]
    batch = v1.CheckCallsRequest(calls=seeds)

    def run(data: bytes) -> None:
        if not data:
            return
        many, request = bool(data[0] & 1), data[1:]
        response, served = front.answer(many=many, request=request), _served(service, request, many=many)
        assert response == served or (response is None and (many or not _is_plain(request)))

    ones = [b"\0" + seed.SerializeToString() for seed in seeds]
    return Target(run, nearly([*ones, b"\1" + batch.SerializeToString()]))


_POLICY = Policy(deny_unknown_outcalls=True)


def _everything() -> CurrentSnapshots:
    """Rules of three tenants: one as on a Wazo Platform, one that dials and has aliases, a closed one."""
    plain = tenant_from(_TENANT)
    dialling = Dialling("FR", "0", numbering_table("FR", "0"))
    dials = replace(
        tenant_from({**_TENANT, "uuid": BOLT, "users": [{"uuid": BOB, "aliases": ["desk"]}], "call_permissions": []}),
        call_permissions=tuple(replace(one, users=(BOB,) if one.users else ()) for one in plain.call_permissions),
        dialling=dialling,
        emergency=("15",),
    )
    closed = Tenant(STRANGER, users=(User(STRANGER),), closed=2, emergency=("17",))
    current = CurrentSnapshots("fuzz")
    for tenant in (plain, dials, closed):
        current.replace(decode(Compiler().compile(tenant, Revision(1, "ab" * 32), compiled_at=1.5e9)))
    return current


def _served(service: DecisionService, request: bytes, *, many: bool) -> bytes | None:
    """The service's response; None: an error."""
    try:
        if many:
            return service.check_calls(v1.CheckCallsRequest.FromString(request)).SerializeToString()
        return service.check_call(v1.CheckCallRequest.FromString(request)).SerializeToString()
    except (CallError, DecodeError):
        return None


def _is_plain(data: bytes) -> bool:
    """Whether a CheckCallRequest has nothing but what the core reads: known fields, and ASCII."""
    request = v1.CheckCallRequest.FromString(data)
    texts = request.caller + request.extension + request.outcall + request.tenant + request.forwarded_by
    return texts.isascii() and request.ByteSize() == len(data) and not UnknownFieldSet(request)


def _core_snapshots() -> Target:
    """A blob whose content is wrong, in the core: it leaves calls to Python, or says what the blob says."""
    current = _everything()
    numbers = EmergencyCalls(current, ())
    held = [one.snapshot for one in current.held()]
    sections = [{section: bytes(extent.view) for section, extent in unseal(snapshot.blob).items()} for snapshot in held]
    names = list(Section)
    front = front_of(current)
    calls = [
        _QUESTION,
        v1.CheckCallRequest(caller=ALICE, extension="12", outcall="1"),
        v1.CheckCallRequest(outcall="1", tenant=ACME),
        v1.CheckCallRequest(caller="desk", extension="+33 (0)9 00 12 34 56", outcall="1"),
        v1.CheckCallRequest(caller=BOB, extension="00044 20 7946 0958", outcall="1"),
    ]

    def run(data: bytes) -> None:
        if not data:
            return
        which, section = data[0] % len(held), data[0] // len(held) % len(names)
        blob = seal({**sections[which], names[section]: data[1:]}, None)
        hand_over(front, held[which], numbers, blob)
        for call in calls:
            front.answer(many=False, request=call.SerializeToString())
        hand_over(front, held[which], numbers)
        front.release()

    seeds = [
        bytes((at * len(held) + which,)) + sections[which].get(name, b"")
        for at, name in enumerate(names)
        for which in range(len(held))
    ]
    return Target(run, nearly(seeds, longest=8000))


def _deltas() -> Target:
    """A delta from Redis; with a checksum that is right where the first byte is odd."""
    random = Random(1)
    sections = {section: random.randbytes(8000) for section in Section}
    base = seal(sections, None)
    result = seal(sections | {Section.USERS: random.randbytes(9000), Section.META: b"{}"}, None)
    delta = make_delta(base, result, 1)
    assert delta is not None

    def run(data: bytes) -> None:
        raw = data[1:]
        if forged := bool(data[:1] and data[0] % 2):
            raw = raw[:72] + hashlib.sha256(raw[:72] + raw[104:]).digest() + raw[104:]
        try:
            read = Delta.load(raw)
        except SnapshotError:
            return
        if read.fits(base):
            made = b"".join(read.pieces(base))
            assert len(made) == read.size <= len(base) + len(raw)
            assert forged or made == result

    return Target(run, nearly([b"\0" + delta, b"\1" + delta], longest=len(delta) + 100))


def _definitions() -> Target:
    """A definitions file: YAML where the first byte is even, else JSON."""

    def run(data: bytes) -> None:
        name = "fuzz.json" if data[:1] and data[0] % 2 else "fuzz.yaml"
        checked = check_document(name, data[1:])
        for fault in checked.faults:
            assert fault.problem
            assert str(fault)

    document = json.dumps({"tenants": [_TENANT]}).encode()
    return Target(run, nearly([b"\x00" + _COMPANY[:3000], b"\x00" + document, b"\x01" + document]))


def _challenges(server: _Server) -> Target:
    """What comes back as a challenge."""
    snapshot = server.current.held()[0].snapshot
    made = server.seal.make(snapshot, Call(ALICE, "0033", "1"))
    known = server.seal.open(made)
    foreign = ChallengeSeal((b"another key of another site",), seconds=60).make(snapshot, Call(ALICE, "0033", "1"))

    def run(data: bytes) -> None:
        try:
            challenge = server.seal.open(data.decode("utf-8", "surrogateescape"))
        except CallError:
            return
        assert challenge == known

    return Target(run, nearly([made.encode(), foreign.encode()]))


class _Decider:
    """In place of a client; a server would be asked over the network each time."""

    async def check(self, **_: object) -> Answer:
        """Asks for a password."""
        return Answer(Decision.CHALLENGE, Stage.USER, None, "1-ab", "challenge")

    async def answer_challenge(self, _challenge: str, password: str, **_: object) -> ChallengeAnswer:
        """Knows one password."""
        right = password == "1234"
        return ChallengeAnswer(Decision.ALLOW if right else Decision.DENY, 2, "1-ab", 0)


_MARK = b"~MARK~"
"""In an input: the mark of the command that is being replied to. Without it, no input would get any further."""


class _Peer:
    """In place of a connection: to each command it says what stands before the next zero byte of an input."""

    def __init__(self, data: bytes) -> None:
        self.reader = asyncio.StreamReader(limit=MAX_LINE)
        self.sent: list[str] = []
        self._parts = iter(data.split(b"\0"))
        self._say(b"")

    def write(self, line: bytes) -> None:
        """Takes a command."""
        self.sent.append(line.decode())
        found = re.search(rb"~[0-9a-f]{16}~", line)
        self._say(found[0] if found else b"")

    def _say(self, mark: bytes) -> None:
        part = next(self._parts, None)
        if part is None:
            self.reader.feed_eof()
        elif not self.reader.at_eof():
            self.reader.feed_data(part.replace(_MARK, mark))

    async def drain(self) -> None:
        """There is always room."""


def _agi() -> Target:
    """What Asterisk says: its environment, and its replies."""
    settings = AgiSettings(deadline=5.0, asterisk_deadline=0.05)
    metrics = AgiMetrics("fuzz")

    async def converse(data: bytes) -> list[str]:
        peer = _Peer(data)
        writer: Any = peer
        channel = Channel(peer.reader, writer, settings.asterisk_deadline)
        decider: Any = _Decider()
        with suppress(AgiError):
            await channel.environment()
            await CallRights(decider, settings, metrics).run(channel, lambda: None)
        return peer.sent

    def run(data: bytes) -> None:
        sent = asyncio.run(converse(data))
        if any("AUTHORIZATION=ALLOW" in line for line in sent):
            assert b"1234" in data  # the keys came from the caller, or no call was let through

    def replied(*values: bytes) -> bytes:
        return b"200 result=1 (%s%s%s)\n" % (_MARK, _MARK.join((*values, b"")), b"")

    script = b"agi_network_script: user_set_call_rights\nagi_uniqueid: 1.2\n\n"
    start = replied(b"DENY", b"", b"", b"", b"", b"", b"1", ALICE.encode(), b"5", ACME.encode(), b"0033")
    answered = (script, start, b"200 result=0\n")
    told = replied(b"ALLOW", b"pin", b"", b"", b"")
    talks = (
        (script, start),
        (script, start.replace(b"0033", b"00\n33")),
        (*answered, b"200 result=1234\n", told),
        (*answered, b"200 result=-1\n", b"200 result=12 (timeout)\n", b"200 result=1234 (timeout)\n", told),
    )
    return Target(run, nearly([b"\0".join(talk) for talk in talks]))


def _authzen(server: _Server) -> Target:
    """The body of an AuthZEN request."""
    evaluator = Evaluator(server.decisions, 1000)
    question = {
        "subject": {"type": "user", "id": ALICE},
        "action": {"name": "call"},
        "resource": {"type": "extension", "id": "0033"},
        "context": {"outcall": "1", "tenant": ACME},
    }
    many = {**question, "evaluations": [{}, {"resource": {"type": "extension", "id": "1"}}], "options": {}}

    def run(data: bytes) -> None:
        with suppress(CallError):
            json.dumps(evaluator.evaluate_many(read(data)))

    return Target(run, nearly([json.dumps(question).encode(), json.dumps(many).encode()]))


def _clients() -> Target:
    """A clients file."""
    document = {"clients": [client_of("a", "token"), client_of("b", certificates=["b.example.org"], tenants=[ACME])]}

    def run(data: bytes) -> None:
        with suppress(SecurityError):
            parse_clients(data, "clients.yaml")

    flow = json.dumps(document).encode()
    block = b"clients:\n  - name: a\n    certificates: [a]\n    tenants: all\n    services: [decision]\n"
    return Target(run, nearly([flow, block]))


def _credentials() -> Target:
    """An ``authorization`` header, where tokens are known and where JWTs are."""
    issuer = Issuer()
    clients = parse_clients(json.dumps({"clients": [client_of("a", "known-token")]}).encode(), "clients.json")
    keys = parse_keys(json.dumps(issuer.jwks).encode(), "jwks")
    held: Any = _Held(clients)
    tokens = Tokens(held)
    jwts = Jwts(_Held(keys), audience=AUDIENCE, issuer=ISSUER, tenant_claim="tenant")
    expires = time.time() + 1e6
    seeds = [
        issuer.token(tenant=ACME, algorithm=algorithm, exp=expires).encode()
        for algorithm in ("RS256", "ES256", "RS512")
    ]

    def run(data: bytes) -> None:
        header = data.decode("utf-8", "surrogateescape")
        try:
            assert tokens.identify([header]).name == "a"
        except Unauthenticated:
            pass
        else:
            assert header.split() == ["Bearer", "known-token"] or header.split() == ["bearer", "known-token"]
        try:
            client = jwts.identify([header])
        except Unauthenticated:
            return
        assert (client.name, client.tenants) == ("jwt:asterisk", (ACME,))

    return Target(run, nearly([b"Bearer " + seed for seed in (*seeds, b"known-token")]))


class _Held:
    """What would be read from a file."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        """The value."""
        return self._value


def _certificates(directory: Path) -> Target:
    """A client's certificate, and a revocation list."""
    authority = Authority(directory)
    client = authority.issue("client", dns=("a.example.org",), uris=("spiffe://example.org/a",), days=(-1, 100))
    authorities = authority.file.read_bytes()
    peers = Peers(("a.example.org",), None, None)

    def run(data: bytes) -> None:
        with suppress(Unauthenticated):
            peers.identify(peers.check(data))
        with suppress(SecurityError):
            parse_revocations(data, authorities)

    return Target(run, nearly([client.pem, authority.revoke(client)]))


def _keys() -> Target:
    """A JWKS document."""

    def run(data: bytes) -> None:
        with suppress(SecurityError):
            parse_keys(data, "jwks")

    return Target(run, nearly([json.dumps(Issuer().jwks).encode()]))


def make_targets(directory: Path) -> dict[str, Target]:
    """Every target by its name; files that they need go to ``directory``."""
    server = _Server()
    core = {"core_requests": _core_requests(), "core_snapshots": _core_snapshots()} if CORE_IS_BUILT else {}
    return {
        **core,
        "grpc_requests": _requests(server),
        "snapshots": _snapshots(server),
        "sealed_snapshots": _sealed_snapshots(server),
        "deltas": _deltas(),
        "manifests": manifests(),
        "pointers": pointers(),
        "followed_numbers": followed(),
        "batches": batches(),
        "http": http(Evaluator(server.decisions, 1000), Search(server.directory, server.decisions)),
        "definitions": _definitions(),
        "challenges": _challenges(server),
        "agi": _agi(),
        "authzen": _authzen(server),
        "clients": _clients(),
        "credentials": _credentials(),
        "certificates": _certificates(directory),
        "jwks": _keys(),
    }
