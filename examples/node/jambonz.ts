// The application of a jambonz account for the calls of its devices: asks Rightcall about each, and the caller for the PIN.
//
//   WEBHOOK_SECRET=wh_secret_… RIGHTCALL=127.0.0.1:50051 OUTCALL=1 node build/jambonz.js
//
// Its calling webhook is POST https://…/call.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { status, type ServiceError } from '@grpc/grpc-js';
import { dialled, verdict } from './calls.js';
import { Rightcall } from './rightcall.js';

type Verb = { verb: string; [option: string]: unknown };
type Hook = { call_sid: string; to: string; digits?: string; sip?: { headers?: Record<string, string> } };

const { WEBHOOK_SECRET = '', HOST = '127.0.0.1', PORT = '3000', TRUNK } = process.env;
const SKEW_SECONDS = 300;
const BODY_BYTES = 256 * 1024;
const PIN_MILLISECONDS = 300_000; // attempts included

/** Calls whose PIN is awaited, by call_sid, for as long as a challenge lives. */
const waiting = new Map<string, { challenge: string; number: string }>();
const rightcall = new Rightcall({ server: process.env.RIGHTCALL ?? 'localhost:50051', protos: process.env.PROTOS });

const dial = (number: string): Verb[] => [
  { verb: 'dial', answerOnBridge: true, target: [{ type: 'phone', number, ...(TRUNK && { trunk: TRUNK }) }] },
];
const decline = (code: number, reason: string): Verb[] => [{ verb: 'sip:decline', status: code, reason }];
const farewell = (text: string): Verb[] => [{ verb: 'say', text }, { verb: 'hangup' }];
const askForPin = (text: string): Verb[] => [
  { verb: 'gather', input: ['digits'], finishOnKey: '#', minDigits: 1, maxDigits: 40, timeout: 10, actionHook: '/pin', say: { text } },
];

/** A call comes in: nothing has been answered yet, so what is not allowed is declined. */
async function called(hook: Hook): Promise<Verb[]> {
  const number = dialled(hook.to);
  if (!number) return decline(484, 'Address Incomplete');
  // Set by jambonz for a device that has proved who it is, as user@realm; `from` is what the device writes.
  const headers = Object.entries(hook.sip?.headers ?? {});
  const caller = headers.find(([name]) => name.toLowerCase() === 'x-authenticated-user')?.[1] ?? '';
  const found = await verdict(rightcall, caller, number);
  if (found === 'allow') return dial(number);
  if (found === 'deny') return decline(403, 'Denied');
  if (found === 'undecided') return decline(503, 'No Decision');
  if (!found.challenge) return decline(403, 'PIN Required'); // the server has no secret key
  waiting.set(hook.call_sid, { challenge: found.challenge, number });
  setTimeout(() => waiting.delete(hook.call_sid), PIN_MILLISECONDS).unref();
  return askForPin('Please enter your PIN, followed by the pound key.');
}

/** Keys were pressed, or none were. From here on the call is answered, so a denial is said. */
async function typed(hook: Hook): Promise<Verb[]> {
  const call = waiting.get(hook.call_sid);
  if (!call || !hook.digits) return farewell('The call is not allowed.');
  try {
    const answer = await rightcall.answer(call.challenge, hook.digits);
    if (answer.decision === 'DECISION_ALLOW') return dial(call.number);
    return answer.attemptsLeft > 0 ? askForPin('This PIN is not right. Please try again.') : farewell('The call is not allowed.');
  } catch (error) {
    // What was typed is no PIN: that was no attempt. Anything else may have been one, and is not sent again.
    if ((error as ServiceError).code === status.INVALID_ARGUMENT) return askForPin('This is no PIN. Please try again.');
    return farewell('The call cannot be made at the moment.');
  }
}

const HOOKS: Partial<Record<string, (hook: Hook) => Promise<Verb[]>>> = { '/call': called, '/pin': typed };

/** Whether jambonz has sent this: else strangers could try PINs here, and learn who may call what. */
function signed(header: unknown, body: Buffer): boolean {
  const [, time = '', sent = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(header)) ?? [];
  const made = createHmac('sha256', WEBHOOK_SECRET).update(`${time}.`).update(body).digest();
  return timingSafeEqual(Buffer.from(sent.padEnd(64, '0'), 'hex'), made) && Math.abs(Date.now() / 1000 - Number(time)) < SKEW_SECONDS;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += (part as Buffer).length;
    if (size > BODY_BYTES) return undefined;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

if (!WEBHOOK_SECRET) throw new Error("WEBHOOK_SECRET is not set: the portal shows the account's webhook secret");
await rightcall.ready();
const server = createServer((request, response) => {
  void (async () => {
    const hook = HOOKS[request.url ?? ''];
    const body = hook && request.method === 'POST' ? await bodyOf(request) : undefined;
    if (!hook || !body) return response.writeHead(404).end();
    if (!signed(request.headers['jambonz-signature'], body)) return response.writeHead(401).end();
    const verbs = await hook(JSON.parse(body.toString()) as Hook);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(verbs));
  })().catch(() => response.writeHead(500).end()); // jambonz then refuses the call
});
server.listen(Number(PORT), HOST, () => console.log(JSON.stringify(server.address())));
