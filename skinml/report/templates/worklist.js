"use strict";
// The worklist in the page of a night: sort, filter, page, keys, details, CSV. What is shown stands in the URL's hash,
// so a link leads back to it. Texts of an archive are set as text, never as HTML. The rows are in the page as JSON
// (skinml/report/night/columns.py says what each column is); without this program the first 200 stand there as HTML.
(() => {
  const element = (id) => document.getElementById(id);
  const data = JSON.parse(element("night").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const pairs = (text) => new Uint16Array(bytes(text).buffer); // little-endian, as every browser's machine is
  const [p, dx, suffix] = [data.p, data.dx, data.suffix].map(bytes);
  const [malignant, confidence, flags, folder] =
    [data.malignant, data.confidence, data.flags, data.folder].map(pairs);
  const classes = data.diagnoses.length;
  const gone = new Set(data.gone);
  const columns = ["rank", "id", "malignant", "dx", ...data.diagnoses, "confidence", "flags"];
  const titles = { rank: "most suspicious", malignant: "p(malignant)", dx: "predicted diagnosis" };
  const rises = new Set(["rank", "id", "dx"]); // sorted upwards at first; numbers begin with the largest
  const initial = { text: "", dx: "", flag: "", least: 0, sort: "rank", up: true, size: 50, page: 1 };
  let state = { ...initial };
  let order = [];
  let chosen = -1; // place of the chosen row among those shown

  const name = (row) => data.names[row] ?? data.ids[row] + data.suffixes[suffix[row]];
  const uri = (row) => data.folders[folder[row]][0] + name(row);
  const flagsOf = (row) => data.flagNames.filter((_, bit) => (flags[row] >> bit) & 1);
  const predicted = (row) => data.diagnoses[dx[row]] ?? "";
  const link = (row) => {
    const [, to] = data.folders[folder[row]];
    if (to === null || name(row).toLowerCase().endsWith(".dcm")) return null;
    return to + (uri(row).startsWith("file:") ? name(row) : encodeURIComponent(name(row)));
  };

  // Filter and sort

  const wanted = () => {
    const text = state.text.toLowerCase();
    const least = Math.round(state.least * 65535);
    const bit = 1 << data.flagNames.indexOf(state.flag);
    const bad = new Set(data.malignantOnes);
    return (row) =>
      malignant[row] >= least &&
      (!state.dx || predicted(row) === state.dx || (state.dx === "malignant" && bad.has(predicted(row)))) &&
      (!state.flag || (state.flag === "any" ? flags[row] : state.flag === "none" ? !flags[row] : flags[row] & bit)) &&
      (!text || data.ids[row].toLowerCase().includes(text) || uri(row).toLowerCase().includes(text));
  };
  const key = () => {
    const place = data.diagnoses.indexOf(state.sort);
    if (place >= 0) return (row) => p[row * classes + place];
    const bits = (number) => number.toString(2).replaceAll("0", "").length;
    return {
      rank: (row) => row, malignant: (row) => malignant[row], confidence: (row) => confidence[row],
      dx: (row) => dx[row], flags: (row) => bits(flags[row]), id: null,
    }[state.sort];
  };
  const sortRows = () => {
    order = [...data.ids.keys()].filter(wanted());
    const of = key();
    const compare = of ? (a, b) => of(a) - of(b) :
      ((collator) => (a, b) => collator.compare(data.ids[a], data.ids[b]))(new Intl.Collator("en", { numeric: true }));
    order.sort((a, b) => (state.up ? compare(a, b) : compare(b, a)) || a - b);
  };
  const pages = () => Math.max(1, Math.ceil(order.length / state.size));

  // Draw

  const picture = (img, none, row) => {
    img.alt = `Image ${data.ids[row]}`;
    none.hidden = !(img.hidden = gone.has(row));
    if (img.hidden) return;
    if (row < data.inPage) {
      img.src = `data:image/webp;base64,${data.thumbnails[row]}`;
      return;
    }
    const { of, across, width, height } = data.sprite;
    const place = row % of;
    img.src = `sprites/${String(Math.floor(row / of)).padStart(4, "0")}.webp`;
    img.style.objectFit = "none";
    img.style.objectPosition = `-${(place % across) * width}px -${Math.floor(place / across) * height}px`;
  };
  const fill = (cell, text, share) => {
    cell.querySelector(".number").textContent = text;
    cell.querySelector("rect").setAttribute("width", `${(100 * share).toFixed(1)}%`);
  };
  const drawn = (row) => {
    const tr = element("row").content.firstElementChild.cloneNode(true);
    const cell = (one) => tr.querySelector(one);
    tr.dataset.row = row;
    cell(".place").textContent = row + 1;
    picture(cell("img"), cell(".none"), row);
    cell(".id bdi").textContent = data.ids[row];
    fill(cell(".malignancy"), (malignant[row] / 65535).toFixed(3), malignant[row] / 65535);
    cell(".diagnosis").textContent = predicted(row);
    tr.querySelectorAll(".p:not(.confidence)").forEach((one, place) => {
      const share = p[row * classes + place] / 255;
      fill(one, share.toFixed(2), share);
    });
    cell(".confidence").textContent = (confidence[row] / 65535).toFixed(2);
    for (const flag of flagsOf(row)) {
      const tag = document.createElement("span");
      tag.className = "flag";
      tag.textContent = flag;
      cell(".flags").append(tag);
    }
    cell(".path bdi").textContent = uri(row);
    const open = document.createElement("button"); // so that the keyboard alone, and a screen reader, get there
    open.type = "button";
    open.textContent = "details";
    open.setAttribute("aria-expanded", "false");
    open.setAttribute("aria-label", `details of ${data.ids[row].slice(0, 80)}`);
    open.addEventListener("click", () => toggle(tr));
    cell(".id").append(open);
    return tr;
  };
  const draw = () => {
    state.page = Math.min(Math.max(1, state.page), pages());
    const first = (state.page - 1) * state.size;
    const rows = order.slice(first, first + state.size);
    element("rows").replaceChildren(...rows.map(drawn));
    chosen = -1;
    const all = data.ids.length;
    const of = order.length === all ? `${all} images` : `${order.length} of ${all} images`;
    element("count").textContent = rows.length ? `${first + 1} to ${first + rows.length} of ${of}` : `0 of ${all} images`;
    for (const button of document.querySelectorAll("[data-page]")) {
      button.disabled = ["first", "before"].includes(button.dataset.page) ? state.page === 1 : state.page === pages();
    }
    for (const th of document.querySelectorAll("[data-sort]")) {
      const way = th.dataset.sort === state.sort ? (state.up ? "ascending" : "descending") : "none";
      th.setAttribute("aria-sort", way);
    }
  };

  // Details of an image

  const button = (text, action) => {
    const one = document.createElement("button");
    one.type = "button";
    one.textContent = text;
    one.addEventListener("click", action);
    return one;
  };
  const say = (text) => { element("said").textContent = text; };
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // refused, or an old browser
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say("Copied.");
  };
  const details = (row) => {
    const tr = document.createElement("tr");
    tr.className = "details";
    const td = tr.insertCell();
    td.colSpan = 99;
    const inside = document.createElement("div");
    inside.className = "inside";
    td.append(inside);
    const to = link(row);
    if (to !== null && /\.(jpe?g|jpe|jfif|pjpeg|png|webp|bmp)$/i.test(name(row))) {
      const img = document.createElement("img");
      img.className = "original";
      img.alt = `Image ${data.ids[row]}, as it lies in the archive`;
      img.src = to;
      img.addEventListener("error", () => img.remove());
      inside.append(img);
    }
    const list = document.createElement("dl");
    const fact = (term, text) => {
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      dt.textContent = term;
      dd.append(Object.assign(document.createElement("bdi"), { textContent: text }));
      list.append(dt, dd);
    };
    fact("id", data.ids[row]);
    fact("path", uri(row));
    fact("place", `${row + 1} of ${data.ids.length}, most suspicious first`);
    fact("p(malignant)", (malignant[row] / 65535).toFixed(3));
    data.diagnoses.forEach((one, place) => fact(one, (p[row * classes + place] / 255).toFixed(2)));
    fact("flags", flagsOf(row).join(", ") || "none");
    if (/^[\w.-]+$/.test(data.ids[row])) fact("why this score", `skinml explain ${data.ids[row]} --run ${data.run}`);
    const actions = document.createElement("div");
    actions.className = "actions";
    actions.append(button("Copy id", () => copy(data.ids[row])), button("Copy path", () => copy(uri(row))));
    if (to !== null) {
      actions.append(Object.assign(document.createElement("a"),
        { href: to, target: "_blank", rel: "noopener", textContent: "Open original" }));
    }
    inside.append(list, actions);
    return tr;
  };
  const toggle = (tr) => {
    const open = tr.nextElementSibling?.classList.contains("details");
    if (open) tr.nextElementSibling.remove();
    else tr.after(details(Number(tr.dataset.row)));
    tr.querySelector(".id button").setAttribute("aria-expanded", String(!open));
  };

  // CSV, which a spreadsheet must not execute

  const cell = (value) => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = () => {
    const head = ["place", "image_id", "uri", "predicted_dx", "p_malignant", ...data.diagnoses.map((one) => `p_${one}`),
      "confidence", "flags", "run_id", "model_version", "health"];
    const lines = order.map((row) => [row + 1, data.ids[row], uri(row), predicted(row),
      (malignant[row] / 65535).toFixed(4), ...data.diagnoses.map((_, place) => (p[row * classes + place] / 255).toFixed(3)),
      (confidence[row] / 65535).toFixed(4), flagsOf(row).join(" "), data.run, data.model ?? "", data.health ?? ""]);
    return "\ufeff" + [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
  };
  const save = () => {
    const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
    Object.assign(document.createElement("a"), { href: url, download: `${data.run}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`${order.length} images saved.`);
  };

  // State, controls, keys

  const fields = ["text", "dx", "flag", "least", "size"];
  const update = (change) => {
    state = { ...state, page: 1, ...change };
    sortRows();
    draw();
    const different = Object.entries(state).filter(([one, value]) => value !== initial[one]);
    history.replaceState(null, "", `#${new URLSearchParams(different)}`);
    element("sort").value = `${state.sort} ${state.up ? "up" : "down"}`;
  };
  const restore = () => {
    const told = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const number = (value, otherwise) => (Number.isFinite(Number(value)) && value ? Number(value) : otherwise);
    const known = { ...initial, ...told, least: number(told.least, 0), page: Math.floor(number(told.page, 1)) };
    known.up = told.up === undefined ? initial.up : told.up === "true";
    known.size = told.size === "100" ? 100 : 50;
    if (!columns.includes(known.sort)) known.sort = initial.sort;
    for (const one of fields) element(one).value = known[one];
    for (const one of ["dx", "flag"]) known[one] = element(one).value; // "" if there is no such choice
    update(Object.fromEntries(Object.keys(initial).map((one) => [one, known[one]])));
  };
  const move = (to) => {
    const rows = [...document.querySelectorAll("#rows tr.row")];
    if (to >= rows.length && state.page < pages()) { update({ page: state.page + 1 }); return move(0); }
    if (to < 0 && state.page > 1) { update({ page: state.page - 1 }); return move(state.size - 1); }
    chosen = Math.min(Math.max(0, to), rows.length - 1);
    rows[chosen]?.focus();
    return rows[chosen]?.scrollIntoView({ block: "nearest" });
  };
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const control = event.target.closest("input, select, textarea, button, a, summary");
    if (event.key === "Escape" && control) { control.blur(); move(Math.max(0, chosen)); return; }
    if (control?.matches("input, select, textarea")) return;
    const row = event.target.closest("tr.row");
    const act = {
      j: () => move(chosen + 1), k: () => move(chosen - 1), f: () => element("text").focus(),
      Enter: !control && row && (() => toggle(row)),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  };

  // On a phone a row is a grid, which takes a cell its meaning unless it says it.
  const model = element("row").content.firstElementChild;
  model.setAttribute("role", "row");
  for (const one of model.cells) one.setAttribute("role", one.matches("th") ? "rowheader" : "cell");
  for (const th of document.querySelectorAll("[data-sort]")) {
    const one = button(th.textContent, () => {
      const by = th.dataset.sort;
      update({ sort: by, up: by === state.sort ? !state.up : rises.has(by) });
    });
    th.replaceChildren(one);
  }
  for (const by of columns) {
    for (const up of by === "rank" ? [true] : [false, true]) {
      element("sort").add(new Option(`${titles[by] ?? by}${by === "rank" ? "" : up ? ", upwards" : ", downwards"}`,
        `${by} ${up ? "up" : "down"}`));
    }
  }
  element("sort").addEventListener("change", (event) => {
    const [sort, way] = event.target.value.split(" ");
    update({ sort, up: way === "up" });
  });
  for (const one of fields) {
    element(one).addEventListener("input", (event) => {
      const value = event.target.value;
      update({ [one]: one === "text" || one === "dx" || one === "flag" ? value : Number(value) || initial[one] });
    });
  }
  for (const one of document.querySelectorAll("[data-page]")) {
    const to = { first: () => 1, before: () => state.page - 1, after: () => state.page + 1, last: pages };
    one.addEventListener("click", () => {
      update({ page: to[one.dataset.page]() });
      element("controls").scrollIntoView({ block: "nearest" });
    });
  }
  element("controls").addEventListener("submit", (event) => event.preventDefault());
  element("clear").addEventListener("click", () => { location.hash = ""; restore(); });
  element("csv").addEventListener("click", save);
  element("rows").addEventListener("focusin", (event) => {
    const rows = [...document.querySelectorAll("#rows tr.row")];
    const row = event.target.closest("tr.row");
    if (row) chosen = rows.indexOf(row);
  });
  document.addEventListener("keydown", press);
  window.addEventListener("hashchange", restore);
  document.body.classList.add("works");
  element("keys").hidden = false;
  restore();
})();
