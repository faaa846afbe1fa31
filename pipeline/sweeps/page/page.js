"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const config = { responsive: true, displaylogo: false, typesetMath: false,
    showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const small = { ...config, displayModeBar: false };

  for (const [id, figure] of Object.entries(data.figures)) {
    for (const trace of figure.data) {
      if (trace.customdata) trace.text = trace.customdata.map((place) => data.labels[place]);
    }
    Plotly.newPlot(id, figure.data, figure.layout, id === "curves" ? config : small);
    // Parallel coordinates are drawn by the graphics card, and a browser may have none to offer.
    const place = document.getElementById(id);
    if (place.querySelector(".no-webgl")) {
      Plotly.purge(place);
      place.style.height = "auto";
      place.textContent = "This browser offers no WebGL, which this figure needs.";
    }
  }

  for (const box of document.querySelectorAll("[data-plot]")) {
    const plot = document.getElementById(box.dataset.plot);
    box.checked = plot.layout[box.dataset.axis].type === "log";
    box.addEventListener("change", () => Plotly.relayout(plot, {
      [`${box.dataset.axis}.type`]: box.checked ? "log" : "linear",
      [`${box.dataset.axis}.dtick`]: box.checked ? "D2" : null,
      [`${box.dataset.axis}.autorange`]: true }));
  }

  // A table and its folded tail are sorted as one; each keeps its number of rows.
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
  };
  const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
  for (const header of document.querySelectorAll("table.sortable th")) {
    header.addEventListener("click", () => {
      const group = header.closest("table").dataset.group;
      const tables = [...document.querySelectorAll(`table[data-group="${group}"]`)];
      const column = header.cellIndex;
      const turned = header.getAttribute("aria-sort") === "ascending";
      const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
      rows.sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        return turned && x !== "" && y !== "" ? compare(y, x) : compare(x, y);
      });
      const sizes = tables.map((table) => table.tBodies[0].rows.length);
      for (const [i, table] of tables.entries()) {
        table.tBodies[0].append(...rows.splice(0, sizes[i]));
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        table.tHead.rows[0].cells[column].setAttribute(
          "aria-sort", turned ? "descending" : "ascending");
      }
    });
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
    for (const row of document.querySelectorAll("[data-group=board] tbody tr")) {
      row.classList.toggle("unselected", !all && !chosen.includes(Number(row.cells[0].dataset.v)));
    }
    const shown = chosen.slice(0, 20).join(", ") + (chosen.length > 20 ? ", …" : "");
    document.getElementById("selected").textContent = all ? "" :
      `Selected: ${chosen.length} of ${ranks.length}` + (shown && `, of rank ${shown}`) +
      "; they stand out in the leaderboard.";
  });

  const plots = () => document.querySelectorAll(".js-plotly-plot");
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    for (const plot of plots()) {
      const most = plot.closest(".panels") ? 340 : 900; // pixels, of a sheet on its side
      Plotly.relayout(plot, { width: Math.min(plot.clientWidth, most) });
    }
  });
  addEventListener("afterprint", () => {
    for (const plot of plots()) Plotly.relayout(plot, { width: null, autosize: true });
  });
})();
