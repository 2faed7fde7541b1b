import type { WorkerReply } from './messages.js';

/**
 * A handler as piscina calls it: buffers that came with a message go back with its reply. Where
 * memory is shared, none ever does, and piscina need not be loaded in the thread.
 */
export async function createHandler<Message, Reply extends Pick<WorkerReply, 'buffers'>>(
  run: (message: Message) => Reply,
  sharedMemory: boolean,
): Promise<(message: Message) => unknown> {
  if (sharedMemory) return run;
  const piscina = await import('piscina');
  return (message) => {
    const reply = run(message);
    return piscina.move({
      get [piscina.transferableSymbol]() {
        return reply.buffers.map((bytes) => bytes.buffer);
      },
      get [piscina.valueSymbol]() {
        return reply;
      },
    });
  };
}
