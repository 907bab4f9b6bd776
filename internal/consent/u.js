// Tillid, the part that is loaded once somebody answers: the second layer; keeping
// what was typed while a page is loaded anew; deleting what must not be stored.
export default function (t) {
  "use strict";
  var doc = document, kept = "tillid_page";
  function nothing() {}
  function all(selector, inside) { return [].slice.call((inside || doc).querySelectorAll(selector)); }
  function attempt(f) { try { return f(); } catch (e) { /* switched off in this browser */ } }

  // --- A page that is loaded anew loses nothing. For that moment this tab's storage
  // holds what was typed, never passwords, files or payment cards; then it is deleted.

  function fields() {
    return all("input,textarea,select").filter(function (e) {
      return !/^(password|file|hidden|submit|button|image|reset)$/.test(e.type) && !/cc-|password|one-time/.test(e.autocomplete) && !e.closest(".tillid-banner");
    });
  }
  function box(e) { return e.type === "checkbox" || e.type === "radio"; }
  function value(e) {
    if (box(e)) return e.checked;
    return e.options ? [].map.call(e.options, function (o) { return o.selected; }) : e.value;
  }
  function usual(e) {
    if (box(e)) return e.defaultChecked;
    return e.options ? null : e.defaultValue;
  }

  function keep(proof) {
    setTimeout(drop, 6e4); // where the visitor stays after all
    attempt(function () {
      var list = fields();
      sessionStorage.setItem(kept, JSON.stringify({
        url: location.href, at: Date.now(), proof: proof, x: scrollX, y: scrollY,
        focus: list.indexOf(doc.activeElement),
        typed: list.map(function (e, i) { return [i, e.name, value(e)]; }).filter(function (f) { return f[2] !== usual(list[f[0]]); }),
        media: all("video,audio").map(function (m) { return [m.currentTime, !m.paused, m.muted]; })
      }));
    });
  }

  function drop() { attempt(function () { sessionStorage.removeItem(kept); }); }
  function restore() { attempt(putBack); }

  function putBack() {
    var k = attempt(function () { return JSON.parse(sessionStorage.getItem(kept)); });
    drop();
    if (!k || k.url !== location.href || !(Date.now() - k.at < 6e4)) return;
    if (k.proof) receipt(k.proof);
    var list = fields(), media = all("video,audio");
    k.typed.forEach(function (f) {
      var e = list[f[0]], v = f[2];
      if (!e || e.name !== f[1]) return;
      if (box(e)) e.checked = v;
      else if (e.options) v.forEach(function (on, i) { if (e.options[i]) e.options[i].selected = on; });
      else e.value = v;
      ["input", "change"].forEach(function (n) { e.dispatchEvent(new Event(n, { bubbles: true })); });
    });
    k.media.forEach(function (m, i) {
      if (!media[i] || !m[0]) return;
      media[i].currentTime = m[0];
      media[i].muted = m[2];
      if (m[1]) media[i].play().catch(nothing);
    });
    if (list[k.focus]) list[k.focus].focus({ preventScroll: true });
    scrollTo(k.x, k.y);
    addEventListener("load", function () { scrollTo(k.x, k.y); });
  }

  // receipt puts the way to the receipt of a withdrawal beside the way to the
  // choices. Nothing of ours stays in the browser by which it could be found later.
  function receipt(proof) {
    var link = doc.createElement("a"), note = doc.createElement("span"), entry = doc.querySelector(".tillid-entry");
    link.href = proof.at;
    link.textContent = proof.label;
    note.setAttribute("role", "status");
    note.append(" ", link);
    if (entry) entry.append(note);
  }

  // --- Storage that is declared, and that nobody said yes to.

  function scriptOf(registration) {
    var worker = registration.active || registration.waiting || registration.installing;
    return worker ? new URL(worker.scriptURL).pathname.split("/").pop() : "";
  }

  // stores lists the names of what this browser keeps for the site.
  function stores() {
    var names = {
      cookies: attempt(function () { return doc.cookie.split("; ").map(function (c) { return c.split("=")[0]; }).filter(Boolean); }),
      local: attempt(function () { return Object.keys(localStorage); }),
      session: attempt(function () { return Object.keys(sessionStorage); })
    };
    function later(name, list, of) {
      return Promise.resolve(attempt(list)).then(function (found) { names[name] = (found || []).map(of); }).catch(nothing);
    }
    return Promise.race([new Promise(function (f) { setTimeout(f, 400); }), Promise.all([
      later("databases", function () { return indexedDB.databases(); }, function (d) { return d.name; }),
      later("caches", function () { return caches.keys(); }, String),
      later("workers", function () { return navigator.serviceWorker.getRegistrations(); }, scriptOf)
    ])]).then(function () { return names; });
  }

  // clear deletes declared storage of what is not granted. A name may end in *.
  function clear(names, more, report) {
    return stores().then(function (there) {
      function each(kind, remove) {
        return (there[kind] || []).map(function (key) {
          if ((names[kind] || []).some(function (n) { return n === key || n.slice(-1) === "*" && key.indexOf(n.slice(0, -1)) === 0; })) return attempt(function () { return remove(key); });
        });
      }
      each("local", function (key) { localStorage.removeItem(key); });
      each("session", function (key) { sessionStorage.removeItem(key); });
      each("databases", function (key) { indexedDB.deleteDatabase(key); });
      var rest = each("caches", function (key) { return caches.delete(key); }).concat(each("workers", function (name) {
        return navigator.serviceWorker.getRegistrations().then(function (list) {
          return Promise.all(list.map(function (r) { return scriptOf(r) === name && r.unregister(); }));
        });
      }));
      var seen = [];
      each("cookies", function (name) { seen.push(name); });
      return Promise.all(rest.concat(more || seen.length ? forget(more || 0, seen) : [])).catch(nothing);
    }).then(function () { return report && left(); });
  }

  // forget has the server delete cookies, also those that scripts cannot see.
  // Those set for a folder do not come to its address: they are named.
  function forget(from, seen) {
    return t.ask("forget", { from: from, page: location.pathname, names: seen })
      .then(function (done) { return done.more && forget(done.more, seen); });
  }

  // left reports the names, never the values, of what a withdrawal left behind.
  function left() {
    return stores().then(function (names) {
      names.page = location.pathname;
      t.ask("left", names, true).catch(nothing);
    });
  }

  // --- The second layer: every purpose and service, as the server writes them.

  function second() {
    return new Promise(function (done, no) {
      var x = new XMLHttpRequest();
      x.open("GET", t.address + "layer?lang=" + t.settings().lang);
      x.responseType = "document";
      x.withCredentials = true;
      x.timeout = 8000;
      x.onerror = x.ontimeout = no;
      x.onload = function () {
        var form = x.response && x.response.querySelector(".tillid-layer");
        if (!form) return no();
        form = doc.importNode(form, true);
        form.addEventListener("submit", function (e) {
          e.preventDefault();
          t.press(e.submitter, { do: e.submitter.value, services: all(":checked", form).map(function (b) { return b.value; }) }, "page");
        });
        t.sheet([form]);
        form.querySelector("h2").focus();
        done();
      };
      x.send();
    });
  }

  // --- An embed shown this once, in a frame of this host: the button's form loads into it.

  var shown = 0;
  function once(button) {
    var box = button.closest(".tillid-embed"), frame = doc.createElement("iframe");
    frame.className = "tillid-once";
    frame.name = button.formTarget = "tillid-once-" + shown++;
    frame.title = button.dataset.tillidOnce;
    frame.allow = "autoplay; fullscreen; picture-in-picture; encrypted-media";
    box.append(frame);
    button.form.requestSubmit(button);
    box.querySelector(".tillid-box").hidden = true;
    frame.focus();
  }

  return { once: once, keep: keep, restore: restore, clear: clear, second: second };
}
