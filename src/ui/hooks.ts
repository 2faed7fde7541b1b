import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { isAbort, messageOf } from './api.js';

/** What is loaded: nothing yet, a value, or why there is none. The last value stays while it is loaded anew. */
export interface Loaded<Value> {
  readonly value: Value | null;
  readonly error: string | null;
  readonly reload: () => void;
}

/**
 * Loads when the view is shown and when `key` changes, and every `everyMs` while the tab is looked at. What is
 * not needed any more is aborted.
 */
export function useLoad<Value>(
  key: string,
  load: (signal: AbortSignal) => Promise<Value>,
  everyMs?: number | ((value: Value | null) => number),
): Loaded<Value> {
  const [state, setState] = useState<{ key: string; value: Value | null; error: string | null }>({
    ...{ key, value: null, error: null },
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => setTurn((count) => count + 1), []);
  // `turn` is there to load again.
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    let found: Value | null = null;
    const run = async (): Promise<void> => {
      if (!document.hidden) {
        try {
          found = await latest.current(stop.signal);
          if (!stop.signal.aborted) setState({ key, value: found, error: null });
        } catch (error) {
          if (stop.signal.aborted || isAbort(error)) return;
          const message = messageOf(error);
          setState((last) => ({
            key,
            value: last.key === key ? last.value : null,
            error: message,
          }));
        }
      }
      if (everyMs === undefined || stop.signal.aborted) return;
      timer = window.setTimeout(run, typeof everyMs === 'number' ? everyMs : everyMs(found));
    };
    void run();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [key, turn, everyMs]);
  return { value: state.key === key ? state.value : null, error: state.error, reload };
}
