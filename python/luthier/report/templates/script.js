(function () {
  "use strict";
  // Printing opens what is folded.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });

  var holder = document.getElementById("error-data");
  if (!holder) return;
  var rows = JSON.parse(holder.textContent);
  var list = document.getElementById("error-list");
  var more = document.getElementById("more");
  var count = document.getElementById("f-count");
  var fields = { text: "f-text", kind: "f-kind", expected: "f-expected", got: "f-got" };
  Object.keys(fields).forEach(function (name) { fields[name] = document.getElementById(fields[name]); });
  var names = {};
  Array.prototype.forEach.call(fields.kind.options, function (one) { names[one.value] = one.textContent; });
  var page = 20, found = rows, shown = 0, timer = 0;
  rows.forEach(function (row) {
    row.all = [row.w, row.p || "", row.e, row.o].concat((row.n || []).map(function (near) { return near.join(" "); }))
      .join("\n").toLowerCase();
  });

  function make(tag, kind, text) {
    var made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function part(name, text) {
    var made = make("div");
    made.append(make("dt", "", name), make("dd", "", text));
    return made;
  }

  function item(row) {
    var made = make("li", "error"), head = make("p", "head", row.w + " "), pair = make("dl");
    head.append(make("span", "tag", names[row.k] || row.k));
    if (row.s !== undefined) head.append(" " + row.s);
    pair.append(part("expected", row.e), part("got", row.o));
    var after = make("div", "after");
    if (row.n && row.n.length) {
      var near = make("ul", "near");
      row.n.forEach(function (one) { near.append(make("li", "", one[0] + ", " + one[2] + ": " + one[1])); });
      after.append(near);
    }
    if (row.a) after.append(make("p", "small", "The same answer from: " + row.a));
    made.append(head, make("p", "prompt", row.p || ""), pair, after);
    return made;
  }

  function show() {
    var end = Math.min(shown + page, found.length), some = document.createDocumentFragment();
    for (; shown < end; shown++) some.append(item(found[shown]));
    list.append(some);
    more.hidden = shown >= found.length;
    more.textContent = "Show more (" + (found.length - shown).toLocaleString("en") + " left)";
  }

  function filter() {
    var words = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    var kind = fields.kind.value;
    var expected = fields.expected ? fields.expected.value : "", got = fields.got ? fields.got.value : "";
    found = rows.filter(function (row) {
      return (!kind || row.k === kind) && (!expected || "=" + row.e === expected) && (!got || "=" + row.o === got) &&
        words.every(function (word) { return row.all.indexOf(word) >= 0; });
    });
    list.textContent = "";
    shown = 0;
    count.textContent = found.length.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " rows";
    show();
  }

  fields.text.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(filter, 120); });
  [fields.kind, fields.expected, fields.got].forEach(function (one) { if (one) one.addEventListener("change", filter); });
  more.addEventListener("click", show);
  filter();
})();
