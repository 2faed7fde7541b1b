import { constants, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { Sink } from '../client/ports.js';
import { type FileSinkOptions, fileSink } from './file-sink.js';
import { streamSink } from './stream-sink.js';

/**
 * A sink for any path: pipes and devices (`/dev/stdout`, `/dev/null`, a named pipe) are written
 * through as streams, because a rename would put a file in their place; all else is a `fileSink`.
 *
 * @example
 * const sink = await outputSink('/dev/null');
 */
export async function outputSink(path: string, options: FileSinkOptions = {}): Promise<Sink> {
  const stats = await stat(path).catch(() => null);
  if (stats === null || stats.isFile() || stats.isDirectory()) return fileSink(path, options);
  const stream = createWriteStream(path);
  const sink = streamSink(stream, { name: path });
  if (!stats.isFIFO()) return sink;
  return {
    ...sink,
    async abort(reason) {
      await sink.abort(reason);
      // An open that waits for a reader keeps its thread: a reader that comes and goes ends it.
      if (stream.pending) {
        const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
        await reader.close();
      }
    },
  };
}
