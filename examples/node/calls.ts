// What the programs for drachtio and jambonz share: which calls are asked about, and what no decision means.
import type { Rightcall } from './rightcall.js';

/** Numbers that go out without a decision, as callers dial them. Write down those of your country. */
const EMERGENCY = new Set((process.env.EMERGENCY ?? '112,911').split(','));

export type Verdict = { challenge: string } | 'allow' | 'deny' | 'undecided';

/** What was dialled, as the trunk will read it: %30900 is 0900. Nothing where it is no number. */
export function dialled(user: unknown): string | undefined {
  try {
    const number = decodeURIComponent(String(user ?? ''));
    return /^\+?[0-9*#]+$/.test(number) ? number : undefined;
  } catch {
    return undefined; // a % that escapes nothing
  }
}

/** What becomes of a call. An empty caller is no user to Rightcall, which would leave the outcall's permissions alone. */
export async function verdict(rightcall: Rightcall, caller: string, extension: string): Promise<Verdict> {
  if (EMERGENCY.has(extension)) return 'allow';
  if (!caller) return 'deny';
  try {
    const answer = await rightcall.check({ caller, extension, outcall: process.env.OUTCALL ?? '1' });
    console.log(`call of ${caller} to ${extension}: ${answer.decision} ${answer.reason}`);
    if (answer.decision === 'DECISION_ALLOW') return 'allow';
    if (answer.decision === 'DECISION_CHALLENGE') return { challenge: answer.challenge };
    return 'deny';
  } catch (error) {
    console.error(`call of ${caller} to ${extension}: no decision: ${(error as Error).message}`);
    return 'undecided';
  }
}
