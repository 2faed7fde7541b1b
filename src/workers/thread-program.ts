import type { WorkerAnswer } from './messages.js';

/**
 * A handler as piscina calls it: buffers that came with a message go back with its answer. Where
 * memory is shared, none ever does, and piscina need not be loaded in the thread.
 */
export async function createHandler<Message, Answer extends Pick<WorkerAnswer, 'buffers'>>(
  run: (message: Message) => Answer,
  sharedMemory: boolean,
): Promise<(message: Message) => unknown> {
  if (sharedMemory) return run;
  const piscina = await import('piscina');
  return (message) => {
    const answer = run(message);
    return piscina.move({
      get [piscina.transferableSymbol]() {
        return answer.buffers.map((bytes) => bytes.buffer);
      },
      get [piscina.valueSymbol]() {
        return answer;
      },
    });
  };
}
