// Tillid: what pages may have beside the banner. Marks links that lead to other
// sites, copies and shares a page's address, and brings forward the content that a
// visitor is interested in, where they have said yes to that. It contacts nobody but
// this site, and stores nothing but the declared interests, in this browser.
(function () {
  "use strict";
  var doc = document, script = doc.currentScript;
  if (window.tillidPage) return;
  window.tillidPage = true;
  function all(selector, inside) { return [].slice.call((inside || doc).querySelectorAll(selector)); }
  function el(name, attributes, text) {
    var e = doc.createElement(name);
    Object.keys(attributes).forEach(function (k) { e.setAttribute(k, attributes[k]); });
    if (text) e.textContent = text;
    return e;
  }

  // --- Links to other sites.

  function mark(out) {
    all("a[href]").forEach(function (a) {
      if (!/^https?:$/.test(a.protocol) || a.host === location.host || out.own.indexOf(a.host) >= 0 || a.querySelector(".tillid-out")) return;
      var rel = (a.getAttribute("rel") || "").split(/\s+/).filter(Boolean);
      ["external", "noopener"].forEach(function (r) { if (rel.indexOf(r) < 0) rel.push(r); });
      a.setAttribute("rel", rel.join(" "));
      a.append(" ", el("span", { "class": "tillid-out", role: "img", "aria-label": out.label }, "\u2197"));
    });
  }

  // --- Sharing: links that need nobody; two buttons that need this script.

  // page is the address to share: without what tells by which letter or
  // advertisement somebody came.
  function page() {
    var at = new URL(location.href);
    at.hash = "";
    Array.from(at.searchParams.keys()).forEach(function (name) {
      if (/^(utm_.*|gclid|fbclid|li_fat_id|msclkid|mc_eid)$/.test(name)) at.searchParams.delete(name);
    });
    return at.href;
  }

  function share(box) {
    all("[data-tillid-copy]", box).forEach(function (b) {
      if (!navigator.clipboard) return;
      b.hidden = false;
      b.addEventListener("click", function () {
        navigator.clipboard.writeText(page()).then(function () { say(b, b.getAttribute("data-tillid-copy")); }).catch(function () { say(b, page()); });
      });
    });
    all("[data-tillid-native]", box).forEach(function (b) {
      if (!navigator.share) return;
      b.hidden = false;
      b.addEventListener("click", function () { navigator.share({ title: doc.title, url: page() }).catch(function () { /* changed their mind */ }); });
    });
  }

  function say(after, words) {
    var old = after.parentNode.querySelector("[role=status]");
    if (old) old.remove();
    after.insertAdjacentElement("afterend", el("span", { role: "status" }, " " + words));
  }

  // fill puts the links into an element that no gateway has filled.
  function fill(box, kinds) {
    var at = encodeURIComponent(page()), wanted = (box.getAttribute("to") || "facebook linkedin email copy native").split(/\s+/);
    kinds.forEach(function (k) {
      if (wanted.indexOf(k.id) < 0) return;
      var one = k.href ? el("a", { href: k.href.replace("{page}", at).replace("{title}", encodeURIComponent(doc.title)), rel: "external noopener noreferrer" }, k.label)
        : el("button", { type: "button", hidden: "" }, k.label);
      if (k.id === "copy") one.setAttribute("data-tillid-copy", k.done);
      if (k.id === "native") one.setAttribute("data-tillid-native", "");
      box.append(one, " ");
    });
    share(box);
  }

  // --- Interests: which declared pages were opened, counted in this browser only.

  function read(key) {
    try { return JSON.parse(localStorage.getItem(key)) || {}; } catch (e) { return {}; }
  }

  function covers(path) {
    return path.slice(-1) === "*" ? location.pathname.indexOf(path.slice(0, -1)) === 0 : location.pathname === path;
  }

  function interests(list) {
    var scores = {};
    list.forEach(function (one) {
      var seen = read(one.stored), n = Number(seen[one.id]) || 0;
      if (one.paths.some(covers)) {
        seen[one.id] = n = Math.min(n + 1, 1000);
        try { localStorage.setItem(one.stored, JSON.stringify(seen)); } catch (e) { /* storage is switched off */ }
      }
      scores[one.id] = n;
    });
    // Of what stands beside each other, the content of the strongest interest is shown.
    var groups = [];
    all("[data-tillid-interest]").forEach(function (e) { if (groups.indexOf(e.parentNode) < 0) groups.push(e.parentNode); });
    groups.forEach(function (group) {
      var best = null, most = 0, own = [].filter.call(group.children, function (e) { return e.hasAttribute("data-tillid-interest"); });
      own.forEach(function (e) {
        var score = scores[e.getAttribute("data-tillid-interest")] || 0;
        if (score > most) { best = e; most = score; }
      });
      if (best) own.forEach(function (e) { e.hidden = e !== best; });
    });
  }

  // usual shows again what everybody sees.
  function usual() {
    all("[data-tillid-interest]").forEach(function (e) { e.hidden = e.getAttribute("data-tillid-interest") !== "default"; });
  }

  function start() {
    var given = script && script.getAttribute("data-tillid-page"), set = given ? JSON.parse(given) : null;
    all("tillid-share").forEach(function (box) { if (box.children.length) share(box); });
    var empty = all("tillid-share").filter(function (box) { return !box.children.length; });
    if (set) apply(set);
    if (set && !empty.length) return;
    fetch((script ? script.src.replace(/\/_tillid\/.*$/, "") : "") + "/_tillid/page?lang=" + encodeURIComponent(doc.documentElement.lang || ""), { credentials: "include" })
      .then(function (answer) { return answer.ok ? answer.json() : {}; })
      .then(function (got) {
        empty.forEach(function (box) { fill(box, got.share || []); });
        if (!set) apply(got);
      }).catch(function () { /* the page is as it was */ });
  }

  function apply(set) {
    if (set.outbound) mark(set.outbound);
    if (set.interests) {
      interests(set.interests);
      doc.addEventListener("tillid:withdraw", usual);
    }
  }

  if (doc.readyState === "loading") doc.addEventListener("DOMContentLoaded", start);
  else start();
})();
