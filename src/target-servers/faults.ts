/** Faults that a test plans, each for one request or several. */
export interface PlannedFault<Route extends string, Action> {
  readonly on: Route;
  /** The first request of its kind that it concerns, counted from 1 when the fault is planned. @default 1 */
  readonly nth?: number | undefined;
  /** Requests in a row. @default 1 */
  readonly times?: number | undefined;
  readonly do: Action;
}

/** Faults that are still to come. */
export interface Faults<Route extends string, Action> {
  plan(fault: PlannedFault<Route, Action>): void;
  /** The fault of this request, if there is one. Counts the request. */
  next(route: Route): Action | null;
}

export function createFaults<Route extends string, Action>(
  planned: readonly PlannedFault<Route, Action>[] = [],
): Faults<Route, Action> {
  interface Open {
    readonly fault: PlannedFault<Route, Action>;
    skip: number;
    left: number;
  }
  const open: Open[] = [];
  const plan = (fault: PlannedFault<Route, Action>): void => {
    open.push({ fault, skip: (fault.nth ?? 1) - 1, left: fault.times ?? 1 });
  };
  for (const fault of planned) plan(fault);
  return {
    plan,
    next(route) {
      let found: Action | null = null;
      for (const each of open) {
        if (each.fault.on !== route || each.left === 0) continue;
        if (each.skip > 0) each.skip--;
        else if (found === null) {
          each.left--;
          found = each.fault.do;
        }
      }
      return found;
    },
  };
}
