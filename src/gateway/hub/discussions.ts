import { hexEncode } from '../../bytes/index.js';
import { damaged, failure } from '../failures.js';
import type { ValueStore } from '../ports.js';
import { mapLimited } from '../turns.js';
import { hubFailure } from './errors.js';
import type { Hub } from './hub.js';

/**
 * Discussions and pull requests of a repository, each a value of its own, changed by compare-and-swap:
 *
 *   hub-discussions/<uid of the repository>/<number>
 *
 * What a pull request proposes is a branch `refs/pr/<number>` of the repository.
 */
export interface Discussion {
  readonly num: number;
  readonly title: string;
  readonly author: string;
  readonly createdMs: number;
  readonly status: DiscussionStatus;
  /** What happened, in order; commits are told by the branch. */
  readonly events: readonly DiscussionEvent[];
  /** Undefined: it proposes nothing. */
  readonly pull?: PullRequest | undefined;
}

export interface PullRequest {
  /** Branch that is to change. */
  readonly base: string;
  /** Commit of it that the changes began at. */
  readonly start: string;
  /** Commit that brought them in. */
  readonly merged?: string | undefined;
}

export const DISCUSSION_STATUS = ['open', 'draft', 'closed', 'merged'] as const;
export type DiscussionStatus = (typeof DISCUSSION_STATUS)[number];

export type DiscussionEvent = {
  readonly id: string;
  readonly author: string;
  readonly ms: number;
} & (
  | { readonly type: 'comment'; readonly text: string }
  | { readonly type: 'status-change'; readonly status: DiscussionStatus }
  | { readonly type: 'title-change'; readonly from: string; readonly to: string }
);

/** An event without what every one has. */
export type NewEvent = DiscussionEvent extends infer E
  ? E extends DiscussionEvent
    ? Omit<E, 'id' | 'author' | 'ms'>
    : never
  : never;

export const DISCUSSIONS_PREFIX = 'hub-discussions/';
/** A value has 1 MiB at most. */
const MAX_BYTES = 900_000;
export const MAX_TEXT_CHARS = 65_536;
export const MAX_TITLE_CHARS = 500;
const AT_ONCE = 16;

/** The branch of a pull request. */
export const pullRef = (num: number): string => `refs/pr/${num}`;

export interface Discussions {
  /** @throws OrbweaverError 404 */
  get(num: number): Promise<Discussion>;
  /** All, the newest first. */
  list(): Promise<readonly Discussion[]>;
  /** Takes the next number. */
  add(
    facts: Pick<Discussion, 'title' | 'author' | 'status' | 'pull'>,
    text: string,
  ): Promise<Discussion>;
  /** Changes one as often as somebody else was faster; what `change` throws ends it. @throws 404 */
  change(num: number, change: (discussion: Discussion) => Discussion): Promise<Discussion>;
  remove(num: number): Promise<void>;
  event<E extends NewEvent>(
    author: string,
    event: E,
  ): E & Pick<DiscussionEvent, 'id' | 'author' | 'ms'>;
}

/** Those of the repository `uid`. */
export function discussionsOf({ services }: Pick<Hub, 'services'>, uid: string): Discussions {
  const { clock, random } = services;
  const values = services.store.values as ValueStore;
  const prefix = `${DISCUSSIONS_PREFIX}${uid}/`;

  async function read(num: number): Promise<{ discussion: Discussion; version: string }> {
    const value = Number.isSafeInteger(num) ? await values.read(prefix + num) : null;
    if (value === null) throw hubFailure(404, 'EntryNotFound', `there is no discussion ${num}`);
    return { discussion: decode(prefix + num, value.bytes), version: value.version };
  }
  async function numbers(): Promise<number[]> {
    const found: number[] = [];
    for await (const { key } of values.list(prefix)) found.push(Number(key.slice(prefix.length)));
    return found.sort((a, b) => b - a);
  }

  const discussions: Discussions = {
    get: async (num) => (await read(num)).discussion,
    async list() {
      const found = await mapLimited(await numbers(), AT_ONCE, (num) =>
        discussions.get(num).catch(() => null),
      );
      return found.filter((each) => each !== null);
    },
    async add(facts, text) {
      const createdMs = clock.unixMs();
      for (let num = ((await numbers())[0] ?? 0) + 1; ; num++) {
        const said = discussions.event(facts.author, { type: 'comment', text });
        const discussion = { ...facts, num, createdMs, events: [said] };
        if ((await values.write(prefix + num, encode(discussion), null)) !== null)
          return discussion;
      }
    },
    async change(num, change) {
      for (;;) {
        const { discussion, version } = await read(num);
        const changed = change(discussion);
        if ((await values.write(prefix + num, encode(changed), version)) !== null) return changed;
      }
    },
    async remove(num) {
      const { version } = await read(num);
      await values.delete(prefix + num, version);
    },
    event: (author, event) => ({ ...event, id: hexEncode(random(12)), author, ms: clock.unixMs() }),
  };
  return discussions;
}

function encode(discussion: Discussion): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify({ v: 1, ...discussion }));
  if (bytes.length <= MAX_BYTES) return bytes;
  throw failure(413, 'LIMIT_EXCEEDED', `a discussion expected at most ${MAX_BYTES} bytes of text`);
}

function decode(key: string, bytes: Uint8Array): Discussion {
  try {
    const { v, ...discussion } = JSON.parse(new TextDecoder().decode(bytes)) as Discussion & {
      v: number;
    };
    if (v !== 1 || !Array.isArray(discussion.events)) {
      throw new TypeError('expected a discussion of version 1');
    }
    return discussion;
  } catch (cause) {
    throw damaged(`"${key}" cannot be read`, cause);
  }
}
