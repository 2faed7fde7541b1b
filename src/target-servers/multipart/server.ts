import { createHash, randomUUID } from 'node:crypto';
import { OrbweaverError } from '../../errors.js';
import type { Exchange, HttpRequest, HttpResponse } from '../../http/index.js';
import { readAll } from '../../http/index.js';
import { checkOptions, is } from '../../options/index.js';
import { createFaults } from '../faults.js';
import { parseForm } from '../form.js';
import { empty, failure, fileJson, invalid, json, notFound } from './responses.js';
import { folderStorage, memoryStorage } from './storage.js';
import type {
  MultipartFault,
  MultipartRoute,
  MultipartServer,
  MultipartServerOptions,
  StoredFile,
} from './types.js';

/**
 * A server that behaves like one of the generations of the Drive upload service, weaknesses included:
 * it does not check what that one does not check, since a kind server hides faults of clients.
 */

const MIB: number = 1024 * 1024;
const BODY_LIMIT_BYTES: number = 6 * MIB;
const DEFAULT_CHUNK_BYTES: number = 5 * MIB;
const JSON_LIMIT_BYTES: number = 64 * 1024;
/** g2 has no limit of its own; what it holds is bounded all the same. */
const MAX_BODY_BYTES: number = 256 * MIB;
/** g2 forgets a task after six hours without a request, g1 after 30 days. */
const IDLE_MS = { g2: 6 * 3_600_000, other: 30 * 24 * 3_600_000 } as const;
/** Numbers that a status may be written as. */
const STATUS_NUMBERS = {
  g1: { InProgress: 1, Completed: 3, Failed: 4 },
  g2: { Uploading: 1, Processing: 2, Completed: 3, Failed: 4 },
} as const;

interface Task {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  readonly mimeType: string;
  readonly size: number;
  readonly chunkSize: number;
  readonly chunksCount: number;
  /** What `resume` tells. */
  readonly uploaded: Set<number>;
  usedMs: number;
  /** Looks left of a 202. */
  processing: number | null;
  fails: boolean;
  fileId: string | null;
}

/** @throws RangeError for a generation that does not exist */
export function createMultipartServer(options: MultipartServerOptions): MultipartServer {
  checkOptions('createMultipartServer', options, {
    generation: is.required(is.text),
    tokens: is.object,
    clock: is.required(is.object),
    folder: is.text,
    endsAboveBytes: is.integer(0),
    endBytes: is.integer(0),
    defaultChunkBytes: is.integer(1),
    bodyLimitBytes: is.integer(1),
    processingLooks: is.integer(0),
    statusForm: is.oneOf(['text', 'number']),
    faults: is.object,
  });
  const { generation, clock, folder, statusForm = 'text' } = options;
  if (!['g0', 'g1', 'g1a', 'g2'].includes(generation)) {
    throw new RangeError(`"generation" expected g0, g1, g1a or g2, got ${String(generation)}`);
  }
  const isG1 = generation === 'g1' || generation === 'g1a';
  const isG2 = generation === 'g2';
  const endsAboveBytes = options.endsAboveBytes ?? 1024 ** 3;
  const endBytes = options.endBytes ?? MIB;
  const defaultChunkBytes = options.defaultChunkBytes ?? DEFAULT_CHUNK_BYTES;
  const bodyLimitBytes = options.bodyLimitBytes ?? BODY_LIMIT_BYTES;
  const storage = folder === undefined ? memoryStorage() : folderStorage(folder);
  const tokens = new Map(Object.entries(options.tokens ?? { 'test-token': 'user' }));
  const freshToken = `fresh-${randomUUID()}`;
  const faults = createFaults(options.faults);
  const tasks = new Map<string, Task>();
  const files = new Map<string, StoredFile>();
  const chunkBodies = new Map<string, number>();
  const requests = {
    create: 0,
    chunk: 0,
    complete: 0,
    resume: 0,
    progress: 0,
    status: 0,
    cancel: 0,
  };
  let repeatedChunks = 0;

  const taskOf = (id: string): Task | null => {
    const task = tasks.get(id);
    if (task === undefined) return null;
    if (clock.unixMs() - task.usedMs > (isG2 ? IDLE_MS.g2 : IDLE_MS.other)) {
      tasks.delete(id);
      return null;
    }
    task.usedMs = clock.unixMs();
    return task;
  };

  const create = async (call: Call): Promise<HttpResponse> => {
    const asked = await jsonBody(call.request);
    for (const field of ['hash', 'file_name', 'file_size', 'content_type']) {
      if (asked[field] === undefined || asked[field] === null) return invalid(generation, field);
    }
    const size = Number(asked['file_size']);
    const hash = String(asked['hash']);
    if (isG2 && size <= 0) return json(400, { error: 'file_size must be greater than zero' });
    const { fault } = call;
    if (fault?.kind === 'exists') {
      return exists({
        id: randomUUID(),
        owner: fault.owner ?? call.user,
        name: 'planted',
        mimeType: 'application/octet-stream',
        hash,
        size: fault.size ?? size,
      });
    }
    // Any owner's: the hash is all that is looked at.
    const known = isG2 ? undefined : [...files.values()].find((file) => file.hash === hash);
    if (known !== undefined) return exists(known);
    const [chunkSize, chunksCount] = chunkPlan(size, asked['chunk_size']);
    const task: Task = {
      id: randomUUID().replaceAll('-', '').slice(0, 21),
      owner: call.user,
      name: String(asked['file_name']),
      mimeType: String(asked['content_type']),
      size,
      chunkSize,
      chunksCount,
      uploaded: new Set(),
      usedMs: clock.unixMs(),
      processing: null,
      fails: false,
      fileId: null,
    };
    tasks.set(task.id, task);
    const told = {
      task_id: task.id,
      chunk_size: fault?.kind === 'wrong-plan' ? (fault.chunkSize ?? chunkSize) : chunkSize,
      chunks_count: fault?.kind === 'wrong-plan' ? (fault.chunksCount ?? chunksCount) : chunksCount,
    };
    return json(200, isG2 ? told : { file_exists: false, file: null, ...told });
  };

  const exists = (file: StoredFile): HttpResponse =>
    json(200, {
      file_exists: true,
      file: fileJson(file),
      task_id: null,
      chunk_size: null,
      chunks_count: null,
    });

  /** The chunk size that the server goes by, and how many there are. */
  const chunkPlan = (size: number, asked: unknown): [number, number] => {
    const wanted = asked === undefined || asked === null ? defaultChunkBytes : Number(asked);
    const chunkSize = isG2 && !(wanted > 0) ? defaultChunkBytes : wanted;
    const count = Math.ceil(size / chunkSize);
    // One chunk as large as the file instead of two of which the second is under a MiB.
    if (isG1 && count === 2 && size - chunkSize < MIB) return [size, 1];
    return [chunkSize, count];
  };

  const chunk = async (call: Call): Promise<HttpResponse> => {
    const { request, id, index, fault } = call;
    const limitBytes = isG2 ? MAX_BODY_BYTES : bodyLimitBytes;
    if ((request.body?.sizeBytes ?? 0) > limitBytes) {
      return failure(generation, 413, 'PAYLOAD_TOO_LARGE', 'Request body too large.');
    }
    const body = await readAll(request.body, limitBytes);
    const form = parseForm(request.headers['content-type'] ?? '', body);
    const part = form?.find(({ name, fileName }) => name === 'chunk' && fileName !== null);
    if (part === undefined) return invalid(generation, 'chunk');
    const task = taskOf(id);
    if (task === null) {
      if (!isG1) return notFound(generation);
      // It makes a folder and keeps bytes that nothing will use.
      await storage.put(`lost-${id}`, index, part.bytes);
      return empty(200);
    }
    const key = `${task.id}/${index}`;
    chunkBodies.set(key, (chunkBodies.get(key) ?? 0) + 1);
    if ((await storage.get(task.id, index)) !== null) repeatedChunks++;
    if (isG2) {
      if (task.owner !== call.user) return json(403, { error: 'forbidden' });
      if (index < 0 || index >= task.chunksCount) {
        return json(400, { error: 'chunk index out of range' });
      }
      const want =
        index < task.chunksCount - 1 ? task.chunkSize : task.size - index * task.chunkSize;
      if (part.bytes.length !== want) {
        return json(500, { error: `chunk size = ${part.bytes.length}, want ${want}` });
      }
    }
    if (isG1 && task.uploaded.has(index)) return json(200, { message: 'Chunk already uploaded' });
    await storage.put(task.id, index, part.bytes);
    if (fault?.kind !== 'forget-entry') task.uploaded.add(index);
    return isG2 ? json(200, { ok: true }) : empty(200);
  };

  const complete = async (call: Call): Promise<HttpResponse> => {
    const task = taskOf(call.id);
    if (task === null || task.fileId !== null) return notFound(generation);
    if (isG2 && task.owner !== call.user) return json(403, { error: 'forbidden' });
    const { fault } = call;
    if (generation === 'g1a') {
      task.processing = options.processingLooks ?? 2;
      task.fails = fault?.kind === 'fail-processing';
      if (fault?.kind === 'forget-processing') {
        await finish(task);
        tasks.delete(task.id);
      }
      const message = 'Upload is being processed';
      return json(202, { message, taskId: task.id, status: 'processing' });
    }
    const merged = await finish(task);
    if (typeof merged === 'number') {
      if (isG2) return json(400, { error: 'upload is incomplete' });
      tasks.delete(task.id);
      await storage.drop(task.id);
      return generation === 'g0'
        ? json(400, { code: 'CHUNK_MISSING', message: `Chunk ${merged} is missing.`, status: 400 })
        : failure(generation, 500, 'SERVER_ERROR', 'Failed to merge the upload.');
    }
    if (isG2) task.fileId = merged.id;
    else tasks.delete(task.id);
    return json(
      200,
      fileJson(
        fault?.kind === 'wrong-result'
          ? { ...merged, hash: fault.hash ?? merged.hash, size: fault.size ?? merged.size }
          : merged,
      ),
    );
  };

  /** Merges; a number is the first chunk that is missing. */
  const finish = async (task: Task): Promise<StoredFile | number> => {
    const whole = createHash(isG2 ? 'sha256' : 'md5');
    let size = 0;
    let head: Uint8Array = new Uint8Array(0);
    let tail: Uint8Array = new Uint8Array(0);
    for (let index = 0; index < task.chunksCount; index++) {
      const bytes = await storage.get(task.id, index);
      if (bytes === null) return index;
      whole.update(bytes);
      size += bytes.length;
      if (head.length < endBytes) head = Buffer.concat([head, bytes]).subarray(0, endBytes);
      tail = Buffer.concat([tail, bytes]).subarray(-endBytes);
    }
    const ends = !isG2 && size > endsAboveBytes;
    const hash = ends
      ? createHash('md5').update(head).update(tail).digest('hex')
      : whole.digest('hex');
    const { owner, name, mimeType } = task;
    const file = { id: randomUUID().slice(0, 12), owner, name, mimeType, size, hash };
    await storage.keep(task.id, file.id);
    files.set(file.id, file);
    return file;
  };

  const resume = async ({ id, user }: Call): Promise<HttpResponse> => {
    // g0 has no such route, so the framework responds.
    if (generation === 'g0') return empty(404);
    const task = taskOf(id);
    if (task === null || task.fileId !== null || task.processing !== null)
      return notFound(generation);
    if (isG2 && task.owner !== user) return json(403, { error: 'forbidden' });
    const uploaded = [...task.uploaded].sort((a, b) => a - b);
    return json(200, {
      task_id: task.id,
      file_name: task.name,
      file_size: task.size,
      content_type: task.mimeType,
      chunk_size: task.chunkSize,
      chunks_count: task.chunksCount,
      chunks_uploaded: uploaded.length,
      uploaded_chunks: uploaded,
      progress: task.chunksCount === 0 ? 0 : (100 * uploaded.length) / task.chunksCount,
    });
  };

  const progress = async ({ id, user, route }: Call): Promise<HttpResponse> => {
    if (generation === 'g0' || (route === 'status' && !isG2)) return empty(404);
    const task = taskOf(id);
    if (task === null) return notFound(generation);
    if (isG2) {
      if (task.owner !== user) return json(403, { error: 'forbidden' });
      const name = task.fileId === null ? 'Uploading' : 'Completed';
      const done = task.chunksCount === 0 ? 0 : task.uploaded.size / task.chunksCount;
      return json(200, {
        task_id: id,
        status: statusForm === 'text' ? name : STATUS_NUMBERS.g2[name],
        progress: task.fileId === null ? done : 1,
        file_id: task.fileId,
      });
    }
    if (task.processing !== null && task.processing-- <= 0) {
      // It looks at running tasks only: gone after success as well as after failure.
      if (!task.fails) await finish(task);
      tasks.delete(id);
      return notFound(generation);
    }
    return json(200, {
      task_id: id,
      status: statusForm === 'text' ? 'InProgress' : STATUS_NUMBERS.g1.InProgress,
      progress: task.processing === null ? 50 : 100,
    });
  };

  const cancel = async ({ id, user, path }: Call): Promise<HttpResponse> => {
    if (generation === 'g0') return empty(405);
    if (path.startsWith('task/') === isG2) return empty(404);
    const task = taskOf(id);
    if (task === null) return notFound(generation);
    if (isG2 && task.owner !== user) return json(403, { error: 'forbidden' });
    tasks.delete(id);
    await storage.drop(id);
    return json(200, { ok: true });
  };

  const HANDLERS = { create, chunk, complete, resume, progress, status: progress, cancel };

  const exchange: Exchange = async (request) => {
    const found = routeOf(request);
    if (found === null) return empty(404);
    const { route } = found;
    requests[route]++;
    const fault = faults.next(route);
    if (fault?.kind === 'respond') {
      const { status, headers = {}, body } = fault;
      const response = body === undefined ? empty(status) : json(status, body);
      return { ...response, headers: { ...response.headers, ...headers } };
    }
    if (fault?.kind === 'cut') throw cut();
    const token = /^Bearer (.+)$/.exec(request.headers['authorization'] ?? '')?.[1] ?? '';
    const user = tokens.get(token);
    if (user === undefined) return empty(401);
    if (fault?.kind === 'expire-token') {
      tokens.delete(token);
      tokens.set(freshToken, user);
      return empty(401);
    }
    if (fault?.kind === 'forget-task') tasks.delete(found.id);
    const response = await HANDLERS[route]({ ...found, request, user, fault });
    if (fault?.kind === 'lose-response') throw cut();
    return response;
  };

  return {
    exchange,
    files,
    requests,
    chunkBodies,
    get repeatedChunks() {
      return repeatedChunks;
    },
    freshToken,
    plan: (fault) => faults.plan(fault),
    async read(id) {
      const pieces: Uint8Array[] = [];
      for (let index = 0; ; index++) {
        const piece = await storage.get(id, index);
        if (piece === null) return new Uint8Array(Buffer.concat(pieces));
        pieces.push(piece);
      }
    },
    close: () => storage.close(),
  };
}

interface Found {
  readonly route: MultipartRoute;
  readonly id: string;
  readonly index: number;
  /** What follows `files/upload/`. */
  readonly path: string;
}

interface Call extends Found {
  readonly request: HttpRequest;
  readonly user: string;
  readonly fault: MultipartFault | null;
}

const ROUTES: readonly [MultipartRoute, string, RegExp][] = [
  ['create', 'POST', /^create$/],
  ['chunk', 'POST', /^chunk\/([^/]+)\/(-?\d+)$/],
  ['complete', 'POST', /^complete\/([^/]+)$/],
  ['resume', 'GET', /^resume\/([^/]+)$/],
  ['progress', 'GET', /^progress\/([^/]+)$/],
  ['status', 'GET', /^status\/([^/]+)$/],
  ['cancel', 'DELETE', /^(?:task\/)?([^/]+)$/],
];

/** Behind `/api` on the service itself, behind `/drive` at the public gateway. */
function routeOf({ method, url }: HttpRequest): Found | null {
  const path = /^\/(?:api|drive)\/files\/upload\/(.+)$/.exec(url.pathname)?.[1];
  if (path === undefined) return null;
  for (const [route, expected, pattern] of ROUTES) {
    const match = method === expected ? pattern.exec(path) : null;
    if (match !== null) return { route, id: match[1] ?? '', index: Number(match[2] ?? 0), path };
  }
  return null;
}

async function jsonBody(request: HttpRequest): Promise<Record<string, unknown>> {
  try {
    const text = new TextDecoder().decode(await readAll(request.body, JSON_LIMIT_BYTES));
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function cut(): OrbweaverError {
  return new OrbweaverError('NETWORK', 'the connection was cut');
}
