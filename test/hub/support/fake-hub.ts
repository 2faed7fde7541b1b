import { createHash } from 'node:crypto';
import {
  bytesBody,
  type Exchange,
  type HttpRequest,
  type HttpResponse,
  readAll,
  textBody,
} from '../../../src/http/index.js';

/**
 * A Hub of one repository, with answers in the shape of the real one's: what its clients send and read of
 * it, in memory. All other paths are those of the store behind it.
 */
export interface FakeHub {
  readonly exchange: Exchange;
  /** The only one that it takes. */
  token: string;
  /** `METHOD path?query` of each request to the Hub itself. */
  readonly requests: string[];
  readonly files: Map<string, FakeFile>;
  /** What any request is answered with instead; null: as always. */
  intercept: (request: HttpRequest) => HttpResponse | null;
  /** Bodies of the questions how files are to be sent. */
  readonly preuploads: { files: unknown[]; gitIgnore?: string; gitAttributes?: string }[];
  /** Bodies of commits, by line. */
  readonly commits: unknown[][];
  /** How repositories were to be made, but for their names, also those that were there. */
  readonly created: unknown[];
  /** The next commits that somebody else is faster with. */
  conflicts: number;
  /** Tokens of the store end after so many seconds. */
  tokenSeconds: number;
  /** The store refuses everything. */
  storeIsDown: boolean;
  /** Answers of listings are cut to so many entries. */
  pageSize: number;
  /** Headers of each request that went to another host. */
  readonly elsewhere: Readonly<Record<string, string>>[];
  /** A response to a plain read is cut after so many bytes, once. */
  cutAfter: number | null;
  /** What the next plain reads are answered with; null: as always. */
  readonly reads: ((request: HttpRequest) => HttpResponse | Promise<HttpResponse> | null)[];
  /** Bytes from which on plain reads were asked for. */
  readonly readFrom: number[];
  readonly lfs: FakeLfs;
}

/** Large-file storage. */
export interface FakeLfs {
  /** Null: questions about it are 404. */
  transfer: 'xet' | 'basic' | 'multipart' | null;
  /** No tokens of the store. */
  hasStore: boolean;
  /** Bodies of the questions. */
  readonly batches: { transfers: string[]; ref?: { name: string }; objects: { oid: string }[] }[];
  /** Files that are there, by SHA-256. */
  readonly whole: Map<string, Uint8Array>;
  /** What is said of a SHA-256 instead. */
  readonly refused: Map<string, { code: number; message: string }>;
  /** The most PUTs that ran at a time. */
  mostPuts: number;
  /** The next so many PUTs fail with 503. */
  failures: number;
  /** What was verified. */
  readonly verified: string[];
}

export interface FakeFile {
  readonly sizeBytes: number;
  /** Git's name of it; of large files that of the pointer. */
  readonly oid: string;
  readonly sha256?: string;
  readonly xetHash?: string;
  /** Of files that the Hub keeps itself. */
  readonly bytes?: Uint8Array;
}

export const HUB = 'http://hub.test';
export const BUCKET_HOST = 'http://bucket.test';
export const HUB_TOKEN = 'hf_secret-of-the-test';
const NAME = 'org/repo';

export function createFakeHub(options: {
  readonly store: Exchange;
  readonly storeToken: string;
  /** Whether a path is of large files. */
  readonly isLarge: (path: string) => boolean;
  /** Hash in the store of what was uploaded last under a SHA-256. */
  readonly xetHashOf: (sha256: string) => string | undefined;
  /** Where the store is. @default the Hub's own address */
  readonly storeUrl?: () => string;
}): FakeHub {
  const { storeUrl = () => HUB } = options;
  const hub: FakeHub = {
    exchange: (request) => exchange(request),
    token: HUB_TOKEN,
    requests: [],
    files: new Map(),
    intercept: () => null,
    preuploads: [],
    commits: [],
    created: [],
    conflicts: 0,
    tokenSeconds: 3600,
    storeIsDown: false,
    pageSize: 1000,
    elsewhere: [],
    cutAfter: null,
    reads: [],
    readFrom: [],
    lfs: {
      ...{ transfer: 'xet', hasStore: true, batches: [], whole: new Map(), refused: new Map() },
      ...{ failures: 0, verified: [], mostPuts: 0 },
    },
  };
  let puts = 0;
  const lfsParts = new Map<string, Uint8Array[]>();
  let head = 'a'.repeat(40);

  const exchange = async (request: HttpRequest): Promise<HttpResponse> => {
    const { url, headers, method } = request;
    const intercepted = hub.intercept(request);
    if (intercepted !== null) return intercepted;
    if (url.origin === BUCKET_HOST) {
      hub.elsewhere.push(headers);
      if (method === 'PUT') {
        hub.lfs.mostPuts = Math.max(hub.lfs.mostPuts, ++puts);
        return putLfs(request).finally(() => puts--);
      }
      return plain(request, hub.files.get(decodeURIComponent(url.pathname.slice(1))), hub);
    }
    const isOfHub = /^\/api\/|\/resolve\/|\/raw\/|\.git\/info\/lfs\//.test(url.pathname);
    if (!isOfHub) {
      if (hub.storeIsDown) return { status: 503, headers: {}, body: null };
      return options.store(request);
    }
    hub.requests.push(`${method} ${url.pathname}${url.search}`);
    if (headers['authorization'] !== `Bearer ${hub.token}`) {
      return error(401, 'Invalid credentials in Authorization header', 'InvalidToken');
    }
    if (method === 'GET' && url.pathname.includes('/resolve/')) {
      hub.readFrom.push(Number(/^bytes=(\d+)-/.exec(headers['range'] ?? '')?.[1] ?? 0));
      const answer = hub.reads.shift()?.(request) ?? null;
      if (answer !== null) return answer;
    }
    const body = request.body === null ? '' : text(await readAll(request.body, 1 << 26));
    return answer(request, decodeURIComponent(url.pathname), body);
  };

  const answer = (request: HttpRequest, path: string, body: string): HttpResponse => {
    const { url, method } = request;
    if (path === '/api/repos/create') {
      const { name, organization, ...how } = JSON.parse(body);
      hub.created.push(how);
      if (`${organization}/${name}` === NAME) return error(409, 'You already created this repo');
      const id = `${organization}/${name}`;
      return json({ url: `${HUB}/${id}`, name: id, id });
    }
    const kind = `/api/models/${NAME}`;
    if (path.startsWith(`/${NAME}.git/info/lfs/`)) return lfs(path, JSON.parse(body));
    if (path.startsWith(`${kind}/xet-`)) {
      if (!hub.lfs.hasStore) return error(404, 'Not found');
      const exp = Math.floor(Date.now() / 1000) + hub.tokenSeconds;
      return json(
        { accessToken: options.storeToken, exp, casUrl: storeUrl() },
        {
          'x-xet-access-token': options.storeToken,
          'x-xet-cas-url': storeUrl(),
          'x-xet-token-expiration': String(exp),
        },
      );
    }
    if (path === `${kind}/preupload/main`) {
      const question = JSON.parse(body);
      hub.preuploads.push(question);
      const { files } = question as { files: { path: string; size: number }[] };
      return json({
        files: files.map(({ path: name, size }) => ({
          path: name,
          uploadMode: size > 0 && options.isLarge(name) ? 'lfs' : 'regular',
          shouldIgnore: name.endsWith('.ignored'),
          oid: hub.files.get(name)?.sha256 ?? hub.files.get(name)?.oid,
        })),
      });
    }
    if (path === `${kind}/paths-info/main`) {
      const { paths } = JSON.parse(body) as { paths: string[] };
      return json(paths.filter((name) => hub.files.has(name)).map(entryOf));
    }
    if (path === `${kind}/revision/main`) return json({ sha: head });
    if (path.startsWith(`${kind}/tree/`)) {
      const below = path.split('/').slice(7).join('/');
      const all = [...hub.files.keys()]
        .sort()
        .filter((name) => below === '' || name.startsWith(`${below}/`));
      if (below !== '' && all.length === 0) return error(404, 'not there', 'EntryNotFound');
      const from = Number(url.searchParams.get('cursor') ?? 0);
      const next = from + hub.pageSize;
      url.searchParams.set('cursor', String(next));
      const link: Record<string, string> =
        next < all.length ? { link: `<${url.href}>; rel="next"` } : {};
      return json(all.slice(from, next).map(entryOf), link);
    }
    if (path === `${kind}/commit/main`) {
      const lines = body.split('\n').map((line) => JSON.parse(line));
      const wanted = lines[0].value.parentCommit;
      if (hub.conflicts > 0 || (wanted !== undefined && wanted !== head)) {
        hub.conflicts--;
        head = createHash('sha1').update(head).digest('hex');
        return error(412, 'A commit has happened since. Please refresh and try again.');
      }
      hub.commits.push(lines);
      for (const { key, value } of lines) apply(key, value);
      head = createHash('sha1')
        .update(body + head)
        .digest('hex');
      return json({ commitOid: head, commitUrl: `${HUB}/${NAME}/commit/${head}`, hookOutput: '' });
    }
    const raw = new RegExp(`^/${NAME}/raw/[^/]+/(.+)$`).exec(path)?.[1];
    if (raw !== undefined) return rawOf(request, hub.files.get(raw));
    const match = new RegExp(`^/${NAME}/resolve/[^/]+/(.+)$`).exec(path);
    if (match === null) return error(404, 'Repository not found', 'RepoNotFound');
    const name = match[1] as string;
    const file = hub.files.get(name);
    if (file === undefined) return error(404, 'Entry not found', 'EntryNotFound');
    const shown: Record<string, string> = {
      'x-repo-commit': head,
      etag: `"${file.sha256 ?? file.oid}"`,
      ...(file.sha256 === undefined
        ? {}
        : {
            'x-linked-size': String(file.sizeBytes),
            'x-linked-etag': `"${file.sha256}"`,
            location: `${BUCKET_HOST}/${name}`,
          }),
      ...(file.xetHash === undefined ? {} : { 'x-xet-hash': file.xetHash }),
    };
    if (file.sha256 !== undefined) return { status: 302, headers: shown, body: null };
    if (method === 'HEAD') {
      return {
        status: 200,
        headers: { ...shown, 'content-length': String(file.sizeBytes) },
        body: null,
      };
    }
    return plain(request, file, hub, shown);
  };

  /** Of a file in parts: two bytes fewer than half of it in each but the last. */
  const partBytesOf = (size: number): number => Math.max(1, Math.floor(size / 2) - 2);

  const lfs = (path: string, body: FakeLfs['batches'][number] & { oid: string }): HttpResponse => {
    const { transfer, batches, whole, refused, verified } = hub.lfs;
    const at = `${HUB}/${NAME}.git/info/lfs/objects`;
    if (path.endsWith('/verify')) {
      verified.push(body.oid);
      return whole.has(body.oid) ? json({}) : error(404, 'The object does not exist');
    }
    if (path.endsWith('/complete')) {
      const { oid, parts } = body as unknown as { oid: string; parts: { etag: string }[] };
      const sent = lfsParts.get(oid) ?? [];
      const isRight = parts.every(({ etag }, i) => etag === `"${sent[i]?.length}"`);
      if (!isRight) return error(400, 'Wrong parts');
      whole.set(oid, Buffer.concat(sent));
      return json({});
    }
    if (transfer === null) return error(404, 'Not found');
    batches.push(body);
    const answer = ({ oid, size }: { oid: string; size: number }): object => {
      const error = refused.get(oid);
      if (error !== undefined) return { oid, size, error };
      if (whole.has(oid)) return { oid, size };
      if (transfer === 'xet') {
        const href = `${HUB}/api/models/${NAME}/xet-write-token/main`;
        return { oid, size, actions: { upload: { href } } };
      }
      if (transfer === 'basic') {
        const upload = { href: `${BUCKET_HOST}/lfs/${oid}?signed`, header: { 'X-Signed': 'yes' } };
        return { oid, size, actions: { upload, verify: { href: `${at}/verify` } } };
      }
      const partBytes = partBytesOf(size);
      const urls = Array.from({ length: Math.ceil(size / partBytes) }, (_, i) => {
        return [String(i + 1).padStart(5, '0'), `${BUCKET_HOST}/lfs/${oid}?part=${i}`];
      });
      const header = { chunk_size: String(partBytes), ...Object.fromEntries(urls) };
      return { oid, size, actions: { upload: { href: `${at}/complete`, header } } };
    };
    return json({
      transfer,
      objects: (body.objects as { oid: string; size: number }[]).map(answer),
    });
  };

  /** Whoever sends to a signed address sends its own length, and nothing that it knows itself. */
  const putLfs = async ({ url, headers, body }: HttpRequest): Promise<HttpResponse> => {
    const oid = url.pathname.split('/').pop() as string;
    if (hub.lfs.failures > 0) {
      hub.lfs.failures--;
      // After some bytes have gone.
      await body?.fill(new Uint8Array(1000));
      body?.cancel();
      return { status: 503, headers: { 'retry-after': '0' }, body: null };
    }
    const bytes = await readAll(body, 1 << 26);
    if (body?.sizeBytes !== bytes.length) return error(411, 'No length');
    const part = url.searchParams.get('part');
    if (part !== null) {
      const parts = lfsParts.get(oid) ?? [];
      parts[Number(part)] = bytes;
      lfsParts.set(oid, parts);
      return { status: 200, headers: { etag: `"${bytes.length}"` }, body: null };
    }
    const isRight = createHash('sha256').update(bytes).digest('hex') === oid;
    if (!isRight || headers['x-signed'] !== 'yes') return error(403, 'Not as signed');
    hub.lfs.whole.set(oid, bytes);
    return { status: 200, headers: {}, body: null };
  };

  const entryOf = (path: string): object => {
    const { sizeBytes, oid, sha256, xetHash } = hub.files.get(path) as FakeFile;
    return {
      type: 'file',
      path,
      size: sizeBytes,
      oid,
      ...(sha256 === undefined ? {} : { lfs: { oid: sha256, size: sizeBytes, pointerSize: 130 } }),
      ...(xetHash === undefined ? {} : { xetHash }),
    };
  };

  const apply = (
    key: string,
    value: { path: string; content: string; oid: string; size: number },
  ): void => {
    const { path } = value;
    if (key === 'file') {
      const bytes = Buffer.from(value.content, 'base64');
      const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      hub.files.set(path, { sizeBytes: bytes.length, oid, bytes });
    } else if (key === 'lfsFile') {
      const xetHash = options.xetHashOf(value.oid);
      const bytes = hub.lfs.whole.get(value.oid);
      hub.files.set(path, {
        sizeBytes: value.size,
        oid: createHash('sha1').update(value.oid).digest('hex'),
        sha256: value.oid,
        ...(xetHash === undefined ? {} : { xetHash }),
        ...(bytes === undefined ? {} : { bytes }),
      });
    } else if (key === 'deletedFile') hub.files.delete(path);
    else if (key === 'deletedFolder') {
      for (const name of hub.files.keys()) if (name.startsWith(`${path}/`)) hub.files.delete(name);
    }
  };
  return hub;
}

/** What git has of a file: the pointer of a large one. */
function rawOf({ method }: HttpRequest, file: FakeFile | undefined): HttpResponse {
  if (file === undefined) return error(404, 'Entry not found', 'EntryNotFound');
  const { bytes, sha256, sizeBytes } = file;
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${sizeBytes}\n`;
  const content = sha256 === undefined ? (bytes as Uint8Array) : new TextEncoder().encode(pointer);
  const headers = { etag: `W/"${content.length}-weak"`, 'content-length': String(content.length) };
  return { status: 200, headers, body: method === 'HEAD' ? null : bytesBody(content) };
}

function plain(
  { headers }: HttpRequest,
  file: FakeFile | undefined,
  hub: FakeHub,
  shown: Record<string, string> = {},
): HttpResponse {
  if (file?.bytes === undefined) return { status: 404, headers: {}, body: null };
  const from = Number(/^bytes=(\d+)-/.exec(headers['range'] ?? '')?.[1] ?? 0);
  const end = hub.cutAfter ?? file.sizeBytes;
  hub.cutAfter = null;
  return {
    status: from > 0 ? 206 : 200,
    headers: {
      ...shown,
      ...(from > 0
        ? { 'content-range': `bytes ${from}-${file.sizeBytes - 1}/${file.sizeBytes}` }
        : {}),
    },
    body: bytesBody(file.bytes.subarray(from, Math.max(from, end))),
  };
}

export function json(value: unknown, headers: Record<string, string> = {}): HttpResponse {
  return {
    status: 200,
    headers: { 'content-type': 'application/json', ...headers },
    body: textBody(JSON.stringify(value)),
  };
}

export function error(status: number, message: string, code?: string): HttpResponse {
  const named: Record<string, string> = code === undefined ? {} : { 'x-error-code': code };
  const { headers, body } = json({ error: message }, { ...named, 'x-error-message': message });
  return { status, headers, body };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
