/**
 * Lets everything else that waits run first: I/O, timers, events. A page has no `setImmediate`, and its
 * timers are held back by 4 ms each once they follow one another; a message to itself is not.
 */
export function nextTurn(): Promise<void> {
  const setImmediate = globalThis.setImmediate as typeof globalThis.setImmediate | undefined;
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    const onMessage = (): void => {
      port1.close();
      resolve();
    };
    (port1 as unknown as Receiver).addEventListener('message', onMessage);
    port1.start();
    port2.postMessage(null);
  });
}

/** What a port of a page is besides, which Node's types do not say. */
interface Receiver {
  addEventListener(type: 'message', listener: () => void): void;
}
