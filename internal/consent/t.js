// Tillid: asks what may be loaded, shows the way back, and nothing else.
// What a page may load is decided by the server, by Content-Security-Policy; this
// script only asks and tells. It stores nothing and contacts no other host.
(function () {
  "use strict";
  var script = document.currentScript;
  var address = "/_tillid/";
  var set, banner, opener;

  // el builds an element: no markup is ever parsed, so Trusted Types have nothing to check.
  function el(name, attributes, children) {
    var e = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (k) {
      if (k === "click") e.addEventListener("click", attributes[k]);
      else e.setAttribute(k, attributes[k]);
    });
    (children || []).forEach(function (c) { e.append(c); });
    return e;
  }

  // choose sends a choice. The page is loaded anew when other things may be loaded
  // than before: a policy cannot be changed inside a page.
  function choose(what, layer) {
    what.lang = set.lang;
    what.layer = layer;
    return fetch(address + "consent", {
      method: "POST", credentials: "same-origin",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(what)
    }).then(function (answer) {
      if (!answer.ok) throw new Error("choice not kept");
      return answer.json();
    }).then(function (done) {
      clear(done.clear || {});
      document.dispatchEvent(new CustomEvent("tillid:choice", { detail: { granted: done.granted } }));
      if (done.state !== set.state) return location.reload();
      close();
      return refresh();
    });
  }

  // clear removes declared storage of what is no longer granted. A name may end in *.
  function clear(names) {
    function each(list, keys, remove) {
      (list || []).forEach(function (name) {
        keys.forEach(function (key) {
          if (name === key || name.slice(-1) === "*" && key.indexOf(name.slice(0, -1)) === 0) remove(key);
        });
      });
    }
    [["local", "localStorage"], ["session", "sessionStorage"]].forEach(function (pair) {
      try {
        var store = window[pair[1]];
        each(names[pair[0]], Object.keys(store), function (key) { store.removeItem(key); });
      } catch (e) { /* storage is switched off: nothing is there */ }
    });
    if (names.databases && window.indexedDB && indexedDB.databases) {
      indexedDB.databases().then(function (all) {
        each(names.databases, all.map(function (d) { return d.name; }), function (key) { indexedDB.deleteDatabase(key); });
      }).catch(function () {});
    }
    if (names.caches && window.caches) {
      caches.keys().then(function (keys) { each(names.caches, keys, function (key) { caches.delete(key); }); }).catch(function () {});
    }
  }

  // button makes a button that chooses; what fails is said, and nothing is loaded.
  function button(label, what, layer, name) {
    var b = el("button", { type: "button", "class": name }, [label]);
    b.addEventListener("click", function () {
      b.disabled = true;
      choose(what, layer).catch(function () {
        b.disabled = false;
        if (banner) banner.querySelector("[role=alert]").textContent = set.ask.failed;
      });
    });
    return b;
  }

  function show() {
    var ask = set.ask;
    if (!ask || banner) return;
    banner = el("section", { "class": "tillid-banner", role: "dialog", "aria-modal": "false", "aria-labelledby": "tillid-title", "aria-describedby": "tillid-text", lang: set.lang, tabindex: "-1" }, [
      el("h2", { id: "tillid-title" }, [ask.title]),
      el("div", { id: "tillid-text" }, [ask.text, ask.who, ask.gpc].filter(Boolean).map(function (s) { return el("p", {}, [s]); })),
      el("div", { "class": "tillid-buttons" }, [
        button(ask.no, ask.only ? { do: "remove", services: ask.only } : { do: "none" }, "banner", "tillid-button"),
        button(ask.yes, ask.only ? { do: "add", services: ask.only } : { do: "all" }, "banner", "tillid-button")
      ]),
      el("p", { "class": "tillid-more" }, [el("a", { href: set.choices }, [ask.choose])]),
      el("p", { role: "alert", "class": "tillid-alert" })
    ]);
    banner.addEventListener("keydown", function (e) {
      if (e.key === "Escape") close(); // hides it on this page; it is not an answer
    });
    document.body.prepend(banner);
    document.documentElement.style.scrollPaddingBottom = banner.offsetHeight + 16 + "px"; // what has focus stays in sight
  }

  function close() {
    if (!banner) return;
    var inside = banner.contains(document.activeElement);
    banner.remove();
    banner = null;
    document.documentElement.style.scrollPaddingBottom = "";
    if (inside && opener) opener.focus();
  }

  // entry puts the permanent way to the choices into the page's footer, or into a
  // corner where there is none; with it, the one click that withdraws.
  function entry() {
    var old = document.querySelector(".tillid-entry");
    if (old) old.remove();
    opener = el("a", { href: set.choices }, [set.label]);
    var parts = [opener];
    if (set.withdraw) parts.push(" ", button(set.withdraw, { do: "none" }, "banner", "tillid-link"));
    var footers = document.querySelectorAll("body > footer, body > * > footer, [role=contentinfo]");
    var footer = footers[footers.length - 1];
    var p = el("p", { "class": "tillid-entry" + (footer ? " tillid-in-footer" : ""), lang: set.lang }, parts);
    (footer || document.body).append(p);
  }

  // embeds makes the placeholders' buttons act without leaving the page first.
  function embeds(event) {
    var b = event.target.closest && event.target.closest("[data-tillid-show]");
    if (!b || !set) return;
    event.preventDefault();
    b.disabled = true;
    choose({ do: "add", services: [b.getAttribute("data-tillid-show")] }, "placeholder").catch(function () {
      b.disabled = false;
      b.insertAdjacentElement("afterend", el("span", { role: "alert" }, [" " + (b.dataset.failed || "⚠")]));
    });
  }

  function load() {
    return fetch(address + "banner?lang=" + encodeURIComponent(document.documentElement.lang || ""), { credentials: "same-origin", headers: { Accept: "application/json" } })
      .then(function (answer) { if (!answer.ok) throw new Error("no answer"); return answer.json(); });
  }

  function refresh() { return load().then(function (s) { set = s; entry(); }); }

  function start() {
    entry();
    show();
    document.addEventListener("click", embeds);
    // A page that comes back from the back/forward cache may show an earlier choice.
    window.addEventListener("pageshow", function (e) {
      if (e.persisted) load().then(function (s) { if (s.state !== set.state) location.reload(); }).catch(function () { location.reload(); });
    });
  }

  function ready(f) {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", f);
    else f();
  }

  var given = script && script.getAttribute("data-tillid");
  if (given) {
    set = JSON.parse(given);
    ready(start);
  } else {
    load().then(function (s) { set = s; ready(start); }).catch(function () { /* nothing is loaded, nothing is asked */ });
  }
})();
