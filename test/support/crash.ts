import { setTimeout as after } from 'node:timers/promises';
import type { DatabaseTarget } from '../../server/core/db/index.ts';
import { lotus } from './lotus.ts';
import type { Answer } from './omega.ts';
import { type OmegaProcess, spawnProcess, startProcess } from './process.ts';

/**
 * A load on an Omega that is killed again and again. Each caller repeats what got no answer, under the
 * same request_id, as an integrator does; so in the end everything asked for has been answered.
 */
export interface CrashRun {
  /** Requests that were answered 2xx, each with its answer, in the order of the answers. */
  answered: Answered[];
  /** Answers that nothing allows: neither 2xx nor 503 nor 409 with Retry-After. */
  wrong: Answer[];
  /** Requests whose first try was not answered 2xx: killed meanwhile, or refused because of it. */
  cutOff: number;
}

export interface Answered {
  kind: 'queue' | 'inbound' | 'note' | 'record' | 'status';
  requestId: string;
  body: { message_id: string; conversation_id: string; client_id: number; status: string };
}

/** What a short lease needs: an attempt must be over, one way or the other, before it. */
export const crashTimes = { leaseS: 2, carrierDeadlineMs: 500 };
/** Of a worker that is to be killed while it waits for the carrier: a busy machine takes its time to kill it. */
export const hangingTimes = { leaseS: 9, carrierDeadlineMs: 8_000 };

/** Numbers in [0, 1) that a seed determines (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A seed from CRASH_SEED, else a drawn one; it is printed, so that a failure can be run again. */
export function seedOf(name: string): number {
  const seed = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));
  console.log(`${name}: CRASH_SEED=${seed}`);
  return seed;
}

/** Rounds of a run: CRASH_ROUNDS for the long form, a few in the suite. */
export const crashRounds = (short: number) => Number(process.env.CRASH_ROUNDS ?? short);

export interface CrashOptions {
  database: DatabaseTarget;
  rounds: number;
  seed: number;
  callers: number;
  /** Omegas at once on the database; one is killed at a time. One on the embedded database. */
  processes?: number;
  /** Ends the database as a crash does and starts it again: in some rounds it is the one that dies. */
  crashDatabase?: () => Promise<void>;
}

/** Kills with SIGKILL `rounds` times at moments that the seed chooses, starting up included; ends killed. */
export async function crashRun(options: CrashOptions): Promise<CrashRun> {
  const random = randomOf(options.seed);
  const run: CrashRun = { answered: [], wrong: [], cutOff: 0 };
  const child = { database: options.database, ...crashTimes };
  const first = await startProcess(child);
  const onboarded = await first.platform.post('/business/onboard', lotus);
  if (onboarded.status !== 202) throw new Error(JSON.stringify(onboarded.body));
  /** In each place the process that answers, or will; replaced at each kill. */
  const places = [Promise.resolve(first)];
  while (places.length < (options.processes ?? 1)) places.push(startProcess(child));

  let ending = false;
  let progressed = () => {};
  const callers = Array.from({ length: options.callers }, (_, caller) =>
    call(caller, randomOf(options.seed + caller + 1)),
  );

  async function call(caller: number, draw: () => number): Promise<void> {
    const mine: Answered[] = [];
    for (let n = 0; !ending; n++) {
      const request = requestOf(`c${caller}-${n}`, draw, mine);
      const answer = await insist(request, caller);
      if (!answer) return;
      const body = { ...request.about, ...answer.body };
      const answered = { kind: request.kind, requestId: request.body.request_id, body };
      mine.push(answered);
      run.answered.push(answered);
      progressed();
    }
  }

  /** Repeats until it is answered. @returns null for an answer that is wrong */
  async function insist(request: Request, caller: number): Promise<Answer | null> {
    for (let tries = 0; ; tries++) {
      const omega = await places[(caller + tries) % places.length]!;
      const answer = await omega.platform.post(request.path, request.body).catch(() => null);
      if (answer && answer.status >= 200 && answer.status < 300) return answer;
      if (answer && !([503, 409].includes(answer.status) && answer.headers.has('retry-after'))) {
        run.wrong.push(answer);
        return null;
      }
      if (tries === 0) run.cutOff++;
      await after(5);
    }
  }

  /** Kills the process of one place, sometimes again on its way up, and resolves when it answers. */
  async function killOne(): Promise<void> {
    const place = Math.floor(random() * places.length);
    const next = Promise.withResolvers<OmegaProcess>();
    const victim = await places[place]!;
    places[place] = next.promise;
    await victim.kill();
    while (random() < 0.25) {
      const starting = spawnProcess(child);
      await Promise.race([starting.ready.catch(() => undefined), after(100 + random() * 1_500)]);
      await starting.kill();
    }
    next.resolve(await startProcess(child));
    await next.promise;
  }

  for (let round = 0; round < options.rounds; round++) {
    const enough = run.answered.length + 10 + Math.floor(random() * 40);
    await new Promise<void>((resolve) => {
      progressed = () => run.answered.length >= enough && resolve();
    });
    // Not always right after an answer.
    await after(random() * 60);
    if (options.crashDatabase && random() < 0.4) await options.crashDatabase();
    else await killOne();
  }
  ending = true;
  // The callers end with what they had asked for; then the workers die once more, in the midst of it.
  await Promise.all(callers);
  for (const place of places) await (await place).kill();
  return run;
}

interface Request {
  kind: Answered['kind'];
  path: string;
  body: Record<string, unknown> & { request_id: string };
  /** What the answer leaves out. */
  about: Record<string, unknown>;
}

/** +1500555…: every callback twice, callbacks in reverse, accepted but the answer never comes. */
const strangeNumbers = ['+15005550014', '+15005550015', '+15005550016'];

/** The next thing that a caller asks for, from its own earlier answers. */
function requestOf(requestId: string, draw: () => number, mine: Answered[]): Request {
  const known = mine.filter(({ kind }) => kind === 'queue').at(-1)?.body;
  const recorded = mine.filter(({ kind }) => kind === 'record').at(-1)?.body;
  const common = { business_id: 1001, request_id: requestId };
  const number = `+1202555${String(3000 + Math.floor(draw() * 60)).padStart(4, '0')}`;
  const chance = draw();
  const content = `Request ${requestId}`;
  if (chance < 0.15) {
    const body = { ...common, from: number, to: '+15005550006', content };
    return { kind: 'inbound', path: '/simulator/inbound', body, about: {} };
  }
  if (chance < 0.3 && known) {
    return {
      kind: 'note',
      path: `/businesses/1001/clients/${known.client_id}/conversations/${known.conversation_id}/note`,
      body: { request_id: requestId, content, sent_by: 12345, sender_type: 'staff' },
      about: { client_id: known.client_id },
    };
  }
  if (chance < 0.4) {
    const body = { ...common, direction: 'outbound', to: number, content, status: 'sent' };
    return { kind: 'record', path: '/sms/record', body, about: {} };
  }
  if (chance < 0.5 && recorded) {
    const body = { ...common, message_id: recorded.message_id, status: 'delivered' };
    return { kind: 'status', path: '/sms/status', body, about: recorded };
  }
  const to = draw() < 0.2 ? strangeNumbers[Math.floor(draw() * strangeNumbers.length)]! : number;
  return { kind: 'queue', path: '/sms/queue', body: { ...common, to, content }, about: {} };
}
