import type { HttpResponse } from '../../http/index.js';
import { failure, rejected } from '../failures.js';
import { jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { history } from './commits.js';
import {
  DISCUSSION_STATUS,
  type Discussion,
  type DiscussionEvent,
  type DiscussionStatus,
  discussionsOf,
  MAX_TEXT_CHARS,
  MAX_TITLE_CHARS,
} from './discussions.js';
import type { Hub } from './hub.js';
import { apiRoutes, isoTime, jsonObject, type RepoCall } from './kit.js';
import { idOf } from './names.js';
import { endsOf, mergePullRequest, openPullRequest, planMerge } from './pull-requests.js';
import type { Repo } from './repos.js';

/** Discussions and pull requests, as clients of the Hub open, read, comment, close and merge them. */
export function discussionRoutes(hub: Hub): Route[] {
  const change = { method: 'POST', scope: 'write', body: 'small' } as const;
  return apiRoutes(hub, [
    { method: 'GET', path: '/discussions', scope: 'read', handle: list },
    { ...change, path: '/discussions', handle: open },
    { method: 'GET', path: '/discussions/:num', scope: 'read', handle: details },
    { ...change, path: '/discussions/:num/comment', handle: comment },
    { ...change, path: '/discussions/:num/title', handle: retitle },
    { ...change, path: '/discussions/:num/status', handle: restatus },
    { ...change, path: '/discussions/:num/merge', handle: merge },
  ]);
}

const PAGE = 50;

async function list({ hub, name, query }: RepoCall): Promise<HttpResponse> {
  const repo = await hub.repos.get(name);
  const [type, status, author] = ['type', 'status', 'author'].map((each) => query.get(each));
  const found = (await discussionsOf(hub, repo.uid).list()).filter((each) => {
    const isOpen = each.status === 'open' || each.status === 'draft';
    if (type === 'pull_request' && each.pull === undefined) return false;
    if (type === 'discussion' && each.pull !== undefined) return false;
    if (status === 'open' && !isOpen) return false;
    if (status === 'closed' && isOpen) return false;
    return !author || each.author === author;
  });
  const page = Number(query.get('p') ?? 0);
  const start = (Number.isSafeInteger(page) && page > 0 ? page : 0) * PAGE;
  const discussions = found.slice(start, start + PAGE).map((each) => summary(repo, each));
  return jsonResponse({ discussions, count: found.length, start });
}

async function open({ hub, call, name, user }: RepoCall): Promise<HttpResponse> {
  const body = await jsonObject(hub, call);
  const title = textOf(body, 'title', MAX_TITLE_CHARS);
  const text = body['description'] === undefined ? '' : textOf(body, 'description', MAX_TEXT_CHARS);
  const repo = await hub.repos.get(name);
  const opened =
    body['pullRequest'] === true
      ? await openPullRequest(hub, name, {
          ...{ title, text, author: user, status: 'draft', base: 'main' },
        })
      : await discussionsOf(hub, repo.uid).add({ title, author: user, status: 'open' }, text);
  return jsonResponse({ ...summary(repo, opened), pullRequest: opened.pull !== undefined });
}

async function details({ hub, name, param }: RepoCall): Promise<HttpResponse> {
  const repo = await hub.repos.get(name);
  const discussion = await discussionsOf(hub, repo.uid).get(Number(param('num')));
  const { num, pull, status } = discussion;
  const events = discussion.events.map(eventJson);
  if (pull === undefined) return jsonResponse({ ...summary(repo, discussion), events });
  const { base, head } = endsOf(repo, num, pull);
  const isOpen = status === 'open' || status === 'draft';
  const { conflicts } = isOpen
    ? await planMerge(hub, { start: pull.start, base, head })
    : { conflicts: [] };
  const commits = await commitEvents(hub, head, pull.start);
  return jsonResponse({
    ...summary(repo, discussion),
    events: [...events, ...commits].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1)),
    changes: {
      base: pull.base,
      ...(pull.merged === undefined ? {} : { mergeCommitId: pull.merged }),
    },
    filesWithConflicts: conflicts.length === 0 ? false : conflicts,
  });
}

const MAX_COMMITS = 200;

async function commitEvents(hub: Hub, head: string, start: string) {
  const events: ReturnType<typeof commitEvent>[] = [];
  for await (const { id, commit } of history(hub, head)) {
    if (id === start || events.length === MAX_COMMITS) break;
    events.unshift(commitEvent(id, commit));
  }
  return events;
}

const commitEvent = (
  oid: string,
  { author, title, timeMs }: { author: string; title: string; timeMs: number },
) => ({
  ...{ id: oid, type: 'commit', author: { name: author }, createdAt: isoTime(timeMs) },
  data: { subject: title, oid },
});

async function comment(call: RepoCall): Promise<HttpResponse> {
  const { num, discussions } = await opened(call);
  const text = textOf(await jsonObject(call.hub, call.call), 'comment', MAX_TEXT_CHARS);
  const event = discussions.event(call.user, { type: 'comment', text });
  await discussions.change(num, (each) => ({ ...each, events: [...each.events, event] }));
  return jsonResponse({ newMessage: eventJson(event) });
}

async function retitle(call: RepoCall): Promise<HttpResponse> {
  const { num, discussions } = await opened(call);
  const to = textOf(await jsonObject(call.hub, call.call), 'title', MAX_TITLE_CHARS);
  let event: DiscussionEvent | null = null;
  await discussions.change(num, (each) => {
    event = discussions.event(call.user, { type: 'title-change', from: each.title, to });
    return { ...each, title: to, events: [...each.events, event] };
  });
  return jsonResponse({ newTitle: eventJson(event as unknown as DiscussionEvent) });
}

async function restatus(call: RepoCall): Promise<HttpResponse> {
  const { num, discussions } = await opened(call);
  const body = await jsonObject(call.hub, call.call);
  const status = DISCUSSION_STATUS.find((each) => each === body['status'] && each !== 'merged');
  if (status === undefined) throw rejected('"status" expected open, draft or closed');
  const said = typeof body['comment'] === 'string' ? textOf(body, 'comment', MAX_TEXT_CHARS) : null;
  return statusChanged(call, num, status, (each) => {
    if (each.status === 'merged') throw failure(409, 'CONFLICT', `#${num} is merged`);
    if (said === null) return each;
    const event = discussions.event(call.user, { type: 'comment', text: said });
    return { ...each, events: [...each.events, event] };
  });
}

async function merge(call: RepoCall): Promise<HttpResponse> {
  const { hub, name, user } = call;
  const { num, discussions } = await opened(call);
  const { comment: said } = await jsonObject(hub, call.call);
  const { title, pull, status } = await discussions.get(num);
  if (pull === undefined) throw rejected(`#${num} is no pull request`);
  if (status === 'merged' || status === 'closed') {
    throw failure(409, 'CONFLICT', `#${num} is ${status}, and cannot be merged`);
  }
  const merged = await mergePullRequest(hub, name, { num, title, pull }, user);
  return statusChanged(call, num, 'merged', (each) => {
    const text = typeof said === 'string' ? said.slice(0, MAX_TEXT_CHARS) : '';
    const event = discussions.event(user, { type: 'comment', text });
    const events = text === '' ? each.events : [...each.events, event];
    return { ...each, events, pull: { ...pull, merged } };
  });
}

async function statusChanged(
  call: RepoCall,
  num: number,
  status: DiscussionStatus,
  change: (discussion: Discussion) => Discussion,
): Promise<HttpResponse> {
  const { discussions } = await opened(call);
  const event = discussions.event(call.user, { type: 'status-change', status });
  await discussions.change(num, (each) => {
    const changed = change(each);
    return { ...changed, status, events: [...changed.events, event] };
  });
  return jsonResponse({ newStatus: eventJson(event) });
}

async function opened({ hub, name, param }: RepoCall) {
  const { uid } = await hub.repos.get(name);
  return { num: Number(param('num')), discussions: discussionsOf(hub, uid) };
}

function summary(repo: Repo, { num, title, status, author, createdMs, pull, events }: Discussion) {
  return {
    ...{ num, title, status, author: { name: author }, createdAt: isoTime(createdMs) },
    isPullRequest: pull !== undefined,
    numComments: events.filter(({ type }) => type === 'comment').length,
    repo: { name: idOf(repo), type: repo.type },
  };
}

function eventJson(event: DiscussionEvent) {
  const { id, type, author: name, ms } = event;
  const common = { id, type, author: { name }, createdAt: isoTime(ms) };
  if (event.type === 'status-change') return { ...common, data: { status: event.status } };
  if (event.type === 'title-change') return { ...common, data: { from: event.from, to: event.to } };
  // Texts are shown as they came: nothing here makes HTML of them.
  const latest = { raw: event.text, html: '', updatedAt: isoTime(ms), author: { name } };
  return { ...common, data: { edited: false, hidden: false, latest, history: [], numEdits: 0 } };
}

function textOf(body: Readonly<Record<string, unknown>>, name: string, mostChars: number): string {
  const text = body[name];
  if (typeof text !== 'string' || (name === 'title' && text.trim() === '')) {
    throw rejected(`"${name}" expected a text`);
  }
  if (text.length <= mostChars) return text;
  throw failure(413, 'LIMIT_EXCEEDED', `"${name}" expected at most ${mostChars} characters`);
}
