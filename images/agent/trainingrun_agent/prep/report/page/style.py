"""The page's style sheet.

Invariant: colour-blind people can distinguish the colours (M. Okabe and K. Ito, "Color Universal Design", 2008),
in light and in dark; print is light.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --raised: #f5f6f8; --ink: #1b1f24; --soft: #57606a; --rule: #d4d9df; --link: #0a5ea8;
  --train: #0072b2; --eval: #d98200; --error: #b83a00; --warning: #8a5a00; --info: #0a5ea8;
  --halo: #fff;
  --mark-0: #e69f00; --mark-1: #009e73; --mark-2: #cc79a7; --mark-3: #d55e00; --mark-4: #f0e442; --mark-5: #56b4e9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --raised: #1e2228; --ink: #e6e9ed; --soft: #a2abb5; --rule: #3a424c; --link: #79bdf2;
    --train: #4aa8e0; --eval: #f0ad3d; --error: #ff8a5c; --warning: #f0ad3d; --info: #79bdf2;
    --halo: #000;
  }
}
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; scroll-behavior: smooth; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem 1.25rem 4rem; background: var(--paper); color: var(--ink); }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; }
h1 { font-size: 1rem; font-weight: 600; color: var(--soft); margin: 0.5rem 0 0; }
h2 { font-size: 1.4rem; margin: 2.75rem 0 0.75rem; padding-top: 0.75rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 0.5rem; }
p, ul { margin: 0.5rem 0; max-width: 46rem; }
ul { padding-left: 1.2rem; }
a { color: var(--link); }
code { font: 0.875em/1.4 ui-monospace, "SF Mono", Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; }
code, th, td, dd, figcaption, h3 { overflow-wrap: anywhere; }
.quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.legend { display: block; }
.legend > :first-child .key { margin-left: 0; }
small, figcaption, caption, .more, .meaning { color: var(--soft); }
.verdict { font-size: 1.75rem; font-weight: 650; line-height: 1.2; margin: 0.25rem 0; max-width: none; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr));
  gap: 0.75rem 1.5rem; margin: 1.25rem 0; }
dl > :last-child { grid-column: 1 / -1; }
dt { font-size: 0.8rem; color: var(--soft); }
dd { margin: 0; }
nav ol { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; margin: 0; padding: 0.6rem 0.9rem;
  background: var(--raised); border-radius: 0.4rem; }
.scroll { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
caption { text-align: left; font-size: 0.8rem; padding-bottom: 0.3rem; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.75rem 0.4rem 0; border-bottom: 1px solid var(--rule);
  min-width: 3.5rem; }
thead th { font-size: 0.8rem; font-weight: 600; color: var(--soft); border-bottom-width: 2px; overflow-wrap: normal; }
tbody th { font-weight: 500; min-width: 6.5rem; }
.number { text-align: right; padding-right: 1.25rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.counts { margin: 0.75rem 0 0; font-weight: 600; }
.copy { user-select: all; overflow-x: auto; margin: 0.75rem 0; padding: 0.75rem 0.9rem; background: var(--raised);
  border-radius: 0.4rem; }
.counted { display: flex; justify-content: space-between; gap: 0.5rem;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: block; width: 100%; min-width: 5rem; height: 6px; margin-top: 3px; }
.share { display: flex; align-items: center; gap: 0.75rem; font-variant-numeric: tabular-nums; }
.share > span { flex: none; width: 3.5rem; text-align: right; white-space: nowrap; }
.dot { flex: auto; height: 1.35em; min-width: 6rem; max-width: 20rem; }
.badge { white-space: nowrap; font-size: 0.8rem; font-weight: 600; }
.badge.error { color: var(--error); } .badge.warning { color: var(--warning); } .badge.info { color: var(--info); }
.count { font-weight: 400; color: var(--soft); }
details > summary { cursor: pointer; color: var(--link); padding: 0.4rem 0; }
figure { margin: 0; }
figcaption { font-size: 0.82rem; line-height: 1.4; margin-top: 0.4rem; }
figcaption strong { color: var(--ink); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1.5rem 2rem;
  align-items: start; }
.chart { display: block; width: 100%; max-width: 34rem; height: auto; }
.square .chart { max-width: 22rem; }
.chart text { font-size: 11px; fill: var(--soft); }
.chart .axis-name { fill: var(--ink); }
.grid { stroke: var(--rule); stroke-width: 0.6; fill: none; }
.axis, .frame { stroke: var(--soft); stroke-width: 1; fill: none; }
.limit { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; fill: none; }
.heat { fill: var(--train); shape-rendering: crispEdges; }
.hatch { stroke: var(--soft); stroke-width: 1.2; }
.unseen { stroke: var(--soft); stroke-width: 0.8; fill-opacity: 0.7; }
.fill-train { fill: var(--train); } .fill-eval { fill: var(--eval); }
.track { fill: var(--rule); fill-opacity: 0.5; } .whole { fill: var(--ink); }
.pointer { fill: var(--ink); }
.mark { stroke: #000; stroke-width: 1; paint-order: stroke; }
.mark-0 { fill: var(--mark-0); } .mark-1 { fill: var(--mark-1); } .mark-2 { fill: var(--mark-2); }
.mark-3 { fill: var(--mark-3); } .mark-4 { fill: var(--mark-4); } .mark-5 { fill: var(--mark-5); }
.sample { width: 14px; height: 14px; vertical-align: -2px; overflow: visible; }
.key { width: 0.75rem; height: 0.75rem; margin: 0 0.3rem 0 0.7rem; vertical-align: -1px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr));
  gap: 1rem; margin: 0.75rem 0; }
.sheet img, .missing { display: block; width: 100%; aspect-ratio: 4 / 3;
  object-fit: contain; background: var(--raised); }
.missing { display: grid; place-items: center; margin: 0; color: var(--soft); font-size: 0.85rem; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 30rem) { body { padding: 0.75rem 0.9rem 3rem; } .verdict { font-size: 1.35rem; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  :root { --paper: #fff; --raised: #f5f6f8; --ink: #000; --soft: #444; --rule: #bbb; --link: #000; --train: #0072b2;
    --eval: #d98200; --error: #b83a00; --warning: #8a5a00; --info: #0a5ea8; }
  body { max-width: none; font-size: 10pt; padding: 0; }
  nav { display: none; }
  figure, tr, h2, h3 { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
  * { print-color-adjust: exact; }
}
"""
