/**
 * Calls a listener of the program. What it throws, or what the promise that it returns is rejected
 * with, is no failure of the transfer: it goes to `onError`, at once or later.
 */
export function callListener(listener: () => unknown, onError: (error: Error) => void): void {
  const failed = (error: unknown): void =>
    onError(error instanceof Error ? error : new Error(String(error)));
  try {
    const returned = listener();
    // An `async` function is one that returns nothing, for the types; a rejection that nobody
    // handles would end the process.
    if (returned instanceof Promise) returned.catch(failed);
  } catch (error) {
    failed(error);
  }
}
