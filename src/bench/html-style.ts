/** The style sheet of the HTML report: one column of cards, light or dark as the reader prefers. */
export const STYLE: string = `
:root { color-scheme: light dark; --page: #f6f7f8; --card: #ffffff; --ink: #1c2126; --soft: #5b6670;
  --line: #d9dee3; --own: #0b7a6f; --peer: #9aa7b2; --mark: #b4451f; }
@media (prefers-color-scheme: dark) { :root { --page: #14181b; --card: #1d2327; --ink: #e8ecef;
  --soft: #9fabb5; --line: #353e45; --own: #3fc1b0; --peer: #66737d; --mark: #f08a5d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 84rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
header p, section > p { color: var(--soft); margin: .25rem 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem;
  margin: 1rem 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr));
  gap: 1.25rem 2rem; }
figure { margin: 0; }
figcaption { font-weight: 600; margin-bottom: .25rem; }
svg { width: 100%; height: auto; display: block; font: 11px system-ui, sans-serif; }
svg .label { fill: var(--soft); }
svg .value { fill: var(--ink); text-anchor: end; font-variant-numeric: tabular-nums; }
svg .own { fill: var(--own); }
svg .peer { fill: var(--peer); }
svg .whisker { stroke: var(--ink); stroke-width: 1.2; fill: none; }
svg .mark { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 4 3; }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin-top: .5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .75rem .2rem 0; border-bottom: 1px solid var(--line); text-align: right;
  font-weight: 400; white-space: nowrap; }
th:first-child { text-align: left; }
thead th { color: var(--soft); }
.failed { color: var(--mark); }
`;
