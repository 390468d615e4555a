// Scripted INVITEs for examples/node/drachtio.ts: node drachtio.mjs BUILD SERVER PROTOS, a call a line on standard input:
// USER DIALLED [hangs up]. It prints what became of each, a line each.
import { createInterface } from 'node:readline/promises';
import { pathToFileURL } from 'node:url';

const [, , build, server, protos] = process.argv;
const load = (name) => import(pathToFileURL(`${build}/${name}.js`).href);
const { inviteHandler } = await load('drachtio');
const { Rightcall } = await load('rightcall');

const dialog = () => ({ on() {}, destroy() {} });
const srf = {
  async createB2BUA(req, res, uri, { callingNumber, calledNumber }) {
    console.log(`${uri} from ${callingNumber} to ${calledNumber}`);
    return { uas: dialog(), uac: dialog() };
  },
};
const rightcall = new Rightcall({ server, protos, patience: 10_000 });
const invite = inviteHandler(srf, rightcall);
for await (const line of createInterface({ input: process.stdin })) {
  const [user, calledNumber, hangsUp] = line.split(' ');
  const from = user.startsWith('+') ? { authorization: { username: user.slice(1) } } : {};
  const req = {
    ...from,
    calledNumber,
    getParsedHeader: () => ({ uri: `sip:${user}@pbx.example` }),
    on: (_event, cancel) => hangsUp && cancel(),
  };
  await invite(req, { send: (status, reason = '') => console.log(`${status} ${reason}`.trim()) });
}
rightcall.close();
