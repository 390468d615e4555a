// A B2BUA before a trunk, on drachtio, that asks Rightcall about every INVITE:
//
//   RIGHTCALL=127.0.0.1:50051 TRUNK=198.51.100.7:5060 OUTCALL=1 node build/drachtio.js
import { pathToFileURL } from 'node:url';
import Srf from 'drachtio-srf';
import { dialled, verdict } from './calls.js';
import { Rightcall } from './rightcall.js';

const { TRUNK = '127.0.0.1:5080', PIN_DESK } = process.env;

/** Who calls, as the proof of it says: drachtio-mw-digest-auth sets `authorization`. Else From, which a telephone writes. */
function callerOf(req: Srf.SrfRequest & { authorization?: { username: string } }): string {
  return req.authorization?.username ?? Srf.parseUri(req.getParsedHeader('from').uri)?.user ?? '';
}

/** The handler of INVITE. */
export function inviteHandler(srf: Srf, rightcall: Rightcall) {
  return async (req: Srf.SrfRequest, res: Srf.SrfResponse): Promise<void> => {
    let cancelled = false;
    req.on('cancel', () => { // createB2BUA looks for it only when its own INVITE is out
      cancelled = true;
    });
    const number = dialled(req.calledNumber);
    if (!number) return res.send(484);
    const caller = callerOf(req);
    const found = await verdict(rightcall, caller, number);
    if (cancelled) return res.send(487);
    if (found === 'deny') return res.send(403, 'Denied', {});
    if (found === 'undecided') return res.send(503, 'No Decision', {});
    if (found !== 'allow' && !PIN_DESK) return res.send(403, 'PIN Required', {});
    const next = found === 'allow' ? TRUNK : PIN_DESK;
    try {
      // Without these two, From is what P-Asserted-Identity claims, and To has what was dialled as it came.
      const both = await srf.createB2BUA(req, res, `sip:${number}@${next}`, { callingNumber: caller, calledNumber: number } as Srf.CreateB2BUAOptions);
      both.uas.on('destroy', () => both.uac.destroy());
      both.uac.on('destroy', () => both.uas.destroy());
    } catch (error) { // the caller has the failure already
      console.log(`call of ${caller} to ${number}: ${(error as Error).message}`);
    }
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const srf = new Srf();
  const rightcall = new Rightcall({ server: process.env.RIGHTCALL ?? 'localhost:50051', protos: process.env.PROTOS });
  await rightcall.ready();
  srf.on('error', (error) => console.error(`drachtio: ${error.message}`)); // it connects again by itself
  srf.invite(inviteHandler(srf, rightcall));
  await srf.connect({ host: '127.0.0.1', port: 9022, secret: process.env.DRACHTIO_SECRET ?? 'cymru' });
}
