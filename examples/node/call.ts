// Asks whether a call may be made, and for the PIN where one is needed:
//
//   node build/call.js --server localhost:50051 --caller alice --extension 0033123456789 --outcall 2
//
// It ends with 0 where the call may go ahead, 1 where it may not, 2 where there is no decision.
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { status, type ServiceError } from '@grpc/grpc-js';
import { Rightcall } from './rightcall.js';

const { values } = parseArgs({
  options: {
    server: { type: 'string', default: 'localhost:50051' },
    ca: { type: 'string' },
    caller: { type: 'string', default: '' },
    extension: { type: 'string', default: '' },
    outcall: { type: 'string', default: '' },
    emergency: { type: 'string', default: '112,911' }, // numbers that are called without a decision
    protos: { type: 'string' },
  },
});
const { server, ca, caller, extension, outcall, emergency, protos } = values;

async function mayCall(rightcall: Rightcall): Promise<boolean> {
  const answer = await rightcall.check({ caller, extension, outcall });
  console.log(name(answer.decision), answer.reason, answer.permission?.name ?? '');
  switch (answer.decision) {
    case 'DECISION_ALLOW':
      return true;
    case 'DECISION_CHALLENGE':
      return opened(rightcall, answer.challenge);
    default: // a decision that this program does not know is a DENY
      return false;
  }
}

async function opened(rightcall: Rightcall, challenge: string): Promise<boolean> {
  if (!challenge) throw new Error('the server cannot check PINs: it has no secret key');
  console.log('PIN?');
  for await (const digits of createInterface({ input: process.stdin })) {
    try {
      const answer = await rightcall.answer(challenge, digits);
      console.log(name(answer.decision));
      if (answer.decision === 'DECISION_ALLOW') return true;
      if (answer.attemptsLeft === 0) {
        console.log(`locked out for ${answer.retryAfterSeconds} seconds`);
        return false;
      }
    } catch (error) {
      // What was dialled is no PIN: that was no attempt. Anything else may have been one, and is not sent again.
      if ((error as ServiceError).code !== status.INVALID_ARGUMENT) throw error;
    }
    console.log('PIN?');
  }
  return false;
}

const name = (decision: string) => decision.replace('DECISION_', '');

const rightcall = new Rightcall({ server, ca, protos, token: process.env.RIGHTCALL_TOKEN });
try {
  await rightcall.ready(1_000);
  process.exitCode = (await mayCall(rightcall)) ? 0 : 1;
} catch (error) {
  if (emergency.split(',').includes(extension)) {
    console.log('ALLOW: a call for help, and there is no decision:', (error as Error).message);
  } else {
    console.log('no decision:', (error as Error).message);
    process.exitCode = 2;
  }
} finally {
  rightcall.close();
}
