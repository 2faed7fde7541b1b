/** Runs some at a time, in their order, until the signal ends or one of them throws. */
export async function inLanes<T>(
  items: readonly T[],
  { lanes, signal }: { readonly lanes: number; readonly signal: AbortSignal },
  run: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (const item of left) {
      if (signal.aborted || failed) return;
      try {
        await run(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
}
