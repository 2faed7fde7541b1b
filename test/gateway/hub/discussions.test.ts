import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hubRoots } from '../../../src/gateway/index.js';
import { loadKernels } from '../../../src/index.js';
import { createHubRig, deleted, type HubRig, header, inline, type Json, pruneNow } from './rig.js';

let rig: HubRig;
const API = '/api/models/org/talk';
const TALK = `${API}/discussions`;

beforeAll(async () => {
  rig = await createHubRig();
  await rig.json('POST', '/api/repos/create', { name: 'talk', organization: 'org' });
  await rig.commit('org/talk', [header('one'), inline('a', '1'), inline('b/c', '1')]);
});
afterAll(() => rig.close());

const propose = async (lines: readonly object[], branch = 'main?create_pr=1'): Promise<Json> => {
  const body = lines.map((line) => JSON.stringify(line)).join('\n');
  const response = await rig.send('POST', `${API}/commit/${branch}`, body);
  expect(response.status).toBe(200);
  return response.json();
};

const textAt = async (revision: string, path: string): Promise<string | number> => {
  const response = await rig.send(
    'GET',
    `/org/talk/resolve/${encodeURIComponent(revision)}/${path}`,
  );
  return response.status === 200 ? response.text() : response.status;
};

describe('a pull request', () => {
  it('is opened by a commit, takes more of them, and is merged', async () => {
    const asked = { files: [{ path: 'a', size: 1, sample: '' }] };
    expect((await rig.json('POST', `${API}/preupload/main?create_pr=1`, asked)).files).toHaveLength(
      1,
    );
    const made = await propose([header('better a'), inline('a', '2')]);
    expect(made.pullRequestUrl).toMatch(/\/org\/talk\/discussions\/1$/);
    expect([await textAt('refs/pr/1', 'a'), await textAt('main', 'a')]).toEqual(['2', '1']);
    const pull = encodeURIComponent('refs/pr/1');
    await propose([header('more'), inline('d', '3'), deleted('b/c')], pull);
    const { branches, pullRequests } = await rig.json('GET', `${API}/refs?include_prs=1`);
    expect(branches).toHaveLength(1);
    expect(pullRequests).toMatchObject([{ name: '1', ref: 'refs/pr/1' }]);
    // Others go on meanwhile, elsewhere.
    await rig.commit('org/talk', [header('two'), inline('e', '4')]);
    const seen = await rig.json('GET', `${TALK}/1?diff=1`);
    expect(seen).toMatchObject({
      ...{ num: 1, title: 'better a', status: 'open', isPullRequest: true },
      ...{ changes: { base: 'main' }, filesWithConflicts: false, author: { name: 'writer' } },
      repo: { name: 'org/talk', type: 'model' },
    });
    expect(seen.events.map(({ type }: Json) => type).sort()).toEqual([
      'comment',
      'commit',
      'commit',
    ]);
    const { newStatus } = await rig.json('POST', `${TALK}/1/merge`, { comment: 'good' });
    expect(newStatus).toMatchObject({ type: 'status-change', data: { status: 'merged' } });
    const [a, c, d, e] = await Promise.all(
      ['a', 'b/c', 'd', 'e'].map((path) => textAt('main', path)),
    );
    expect([a, c, d, e]).toEqual(['2', 404, '3', '4']);
    const head = (await rig.json('GET', API)).sha;
    expect(await rig.json('GET', `${TALK}/1`)).toMatchObject({
      ...{ status: 'merged', changes: { base: 'main', mergeCommitId: head } },
    });
    await rig.json('POST', `${TALK}/1/merge`, {}, 409);
    await rig.json('POST', `${TALK}/1/status`, { status: 'open' }, 409);
  });

  it('that its base contradicts is not merged, and says in which files', async () => {
    const { commitOid: start } = await propose([header('three'), inline('a', '5')], 'main');
    await propose([header('a is 6'), inline('a', '6'), inline('f', '6')]);
    await propose([header('a is 7'), inline('a', '7')], 'main');
    expect(await rig.json('GET', `${TALK}/2`)).toMatchObject({ filesWithConflicts: ['a'] });
    const { error } = await rig.json('POST', `${TALK}/2/merge`, undefined, 409);
    expect(error).toContain('#2 changes: a');
    // The same change on both sides is none.
    await propose([header('a is 6 after all'), inline('a', '6')], 'main');
    await rig.json('POST', `${TALK}/2/merge`);
    expect([await textAt('main', 'f'), await textAt(start, 'f')]).toEqual(['6', 404]);
  });

  it('of a branch or with a body that is not there is none', async () => {
    const none = await rig.send(
      'POST',
      `${API}/commit/none?create_pr=1`,
      JSON.stringify(header('x')),
    );
    expect(none.status).toBe(404);
    const empty = await rig.send(
      'POST',
      `${API}/commit/main?create_pr=1`,
      '{"key":"x","value":{}}',
    );
    expect(empty.status).toBe(400);
    const late = await rig.send(
      'POST',
      `${API}/commit/main?create_pr=1`,
      [header('y'), deleted('never')].map((line) => JSON.stringify(line)).join('\n'),
    );
    expect(late.status).toBe(404);
    expect((await rig.json('GET', `${API}/refs?include_prs=1`)).pullRequests).toHaveLength(2);
    expect((await rig.json('GET', TALK)).count).toBe(2);
    await rig.json('POST', `${API}/branch/refs%2Fpr%2F9`, {}, 400);
  });
});

describe('a discussion', () => {
  it('is opened, commented, renamed, closed and found again', async () => {
    const { num } = await rig.json('POST', TALK, { title: 'why?', description: 'because' });
    const draft = await rig.json('POST', TALK, { title: 'soon', pullRequest: true });
    expect([num, draft.num, draft.status]).toEqual([3, 4, 'draft']);
    const said = await rig.json('POST', `${TALK}/3/comment`, { comment: '<b>ah</b>' });
    expect(said.newMessage.data.latest).toMatchObject({ raw: '<b>ah</b>', html: '' });
    const { newTitle } = await rig.json('POST', `${TALK}/3/title`, { title: 'why not?' });
    expect(newTitle.data).toEqual({ from: 'why?', to: 'why not?' });
    await rig.json('POST', `${TALK}/3/status`, { status: 'closed', comment: 'done' });
    await rig.json('POST', `${TALK}/3/status`, { status: 'merged' }, 400);
    await rig.json('POST', `${TALK}/3/merge`, {}, 400);
    const nums = async (query: string): Promise<number[]> =>
      (await rig.json('GET', `${TALK}${query}`)).discussions.map((each: Json) => each.num);
    expect(await nums('')).toEqual([4, 3, 2, 1]);
    expect(await nums('?type=discussion')).toEqual([3]);
    expect(await nums('?type=pull_request&status=open')).toEqual([4]);
    expect(await nums('?status=closed&author=writer&p=0')).toEqual([3, 2, 1]);
    expect(await nums('?author=other')).toEqual([]);
    expect(await rig.json('GET', `${TALK}/3`)).toMatchObject({ status: 'closed', numComments: 3 });
    await rig.json('GET', `${TALK}/9`, undefined, 404);
    await rig.json('GET', `${TALK}/x`, undefined, 404);
    const reader = { authorization: 'Bearer reader' };
    expect((await rig.send('GET', TALK, undefined, reader)).status).toBe(200);
    expect((await rig.send('POST', TALK, { title: 'no' }, reader)).status).toBe(403);
  });

  it('goes with its repository, and with it what only a pull request had', async () => {
    const { hasher } = await loadKernels();
    const count = async (): Promise<number> => {
      let found = 0;
      for await (const _key of rig.store.values?.list('hub-discussions/') ?? []) found++;
      return found;
    };
    const prune = () => pruneNow(rig.store, { hasher });
    await prune();
    expect(await count()).toBe(4);
    await rig.json('DELETE', '/api/repos/delete', { name: 'talk', organization: 'org' }, 204);
    await prune();
    expect(await count()).toBe(0);
    for await (const file of hubRoots(rig.store)) throw new Error(`${file} is kept`);
  });
});
