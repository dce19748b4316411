"""The style sheet of the page."""

STYLE = """
:root { color: #22303c; background: #f4f6f8; font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
body { margin: 0; }
main { max-width: 1160px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 18px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 12px; }
section, dl { background: #fff; border: 1px solid #dfe5ea; border-radius: 10px; padding: 18px 20px; margin: 0 0 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 14px; margin-bottom: 18px; }
.tiles div { background: #fff; border: 1px solid #dfe5ea; border-radius: 10px; padding: 14px 18px; }
.tiles b { display: block; font-size: 30px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles span, dt, figcaption { color: #5c6b78; }
dl { display: grid; grid-template-columns: minmax(140px, max-content) 1fr; gap: 4px 20px; }
dt, dd { margin: 0; }
dd { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid #e9edf1; vertical-align: top; }
th { color: #5c6b78; font-weight: 600; white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
figure { margin: 0; }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 24px; align-items: start; }
.plots .learning_curves { grid-column: 1 / -1; }
.plots svg { width: 100%; height: auto; display: block; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px; }
.pictures img { width: 100%; border-radius: 6px; display: block; }
figcaption { font-size: 13px; margin-top: 4px; overflow-wrap: anywhere; }
@media (max-width: 760px) { .plots { grid-template-columns: 1fr; } dl { grid-template-columns: 1fr; } }
@media print { :root { background: #fff; } section, dl, .tiles div { break-inside: avoid; } }
"""
