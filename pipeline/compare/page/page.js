"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const config = { responsive: true, displaylogo: false, typesetMath: false,
    showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };

  for (const [id, figure] of Object.entries(data.figures)) {
    for (const trace of figure.data) { // a label that belongs to a thousand points is sent once
      if (trace.customdata) trace.text = trace.customdata.map((place) => data.labels[place]);
    }
    Plotly.newPlot(id, figure.data, figure.layout,
      { ...config, displayModeBar: id === "curves" ? "hover" : false });
  }

  // A cell is ordered by the text before its first number, then by that number; none comes last.
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = text.match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/);
    return { none: text === "–", text: number ? text.slice(0, number.index) : text,
      number: number ? Number(number[0]) : 0 };
  };
  const tables = [...document.querySelectorAll("table.board")]; // the board and its folded tail
  const rows = () => tables.flatMap((table) => [...table.tBodies[0].rows]);
  const sort = (column, down) => {
    const sizes = tables.map((table) => table.tBodies[0].rows.length);
    const sorted = rows().sort((one, other) => {
      const [a, b] = [key(one, column), key(other, column)];
      if (a.none || b.none) return a.none - b.none;
      return (down ? -1 : 1) * (a.text.localeCompare(b.text) || a.number - b.number);
    });
    for (const [i, table] of tables.entries()) {
      table.tBodies[0].append(...sorted.splice(0, sizes[i]));
      for (const header of table.tHead.rows[0].cells) header.removeAttribute("aria-sort");
      table.tHead.rows[0].cells[column].ariaSort = down ? "descending" : "ascending";
    }
  };
  for (const header of document.querySelectorAll("table.board th")) {
    header.addEventListener("click", () =>
      sort(header.cellIndex, header.ariaSort === "ascending"));
  }

  // What is selected on the parallel axes stands out in the leaderboard.
  const axes = document.getElementById("parallel");
  axes?.on?.("plotly_restyle", () => {
    const { dimensions, meta: ranks } = axes.data[0];
    const limits = dimensions.map(({ constraintrange: one }) =>
      !one?.length ? null : Array.isArray(one[0]) ? one : [one]);
    const chosen = ranks.filter((_, i) => dimensions.every(({ values }, axis) =>
      !limits[axis] || limits[axis].some(([low, high]) => low <= values[i] && values[i] <= high)));
    const all = !limits.some(Boolean);
    for (const row of rows()) {
      row.classList.toggle("unselected", !all && !chosen.includes(Number(row.cells[0].textContent)));
    }
    const shown = chosen.slice(0, 20).join(", ") + (chosen.length > 20 ? ", …" : "");
    document.getElementById("selected").textContent = all ? "" :
      `Selected: ${chosen.length} of ${ranks.length}` + (shown && `, rank ${shown}`);
  });
})();
