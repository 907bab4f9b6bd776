//# allFunctionsCalledOnLoad
// Tillid: asks what may be loaded, opens and shuts gates, tells tags what was said.
// The server decides, by Content-Security-Policy: without its answer nothing is
// granted. No other host is contacted, no markup is parsed, nothing is stored.
(function () {
  "use strict";
  var doc = document, win = window, root = doc.documentElement;
  var script = doc.currentScript;
  var address = script && script.src ? new URL(".", script.src).href : "/_tillid/";
  var set = {}, banner, opener, back, watched, moreLoaded, line = Promise.resolve(), last = {};
  var gpc = navigator.globalPrivacyControl === true, kinds = ["preferences", "statistics", "marketing"];
  function nothing() {}
  function all(selector, inside) { return [].slice.call((inside || doc).querySelectorAll(selector)); }
  function words(list) { return [].concat(list || []).join(" ").split(/[\s,]+/).filter(Boolean); }
  function granted() { return words(set.state); }
  function attempt(f) { try { return f(); } catch (e) { /* switched off in this browser */ } }

  function el(name, attributes, children) {
    var e = doc.createElement(name);
    for (var k in attributes) e.setAttribute(k, attributes[k]);
    e.append.apply(e, children);
    return e;
  }

  function ask(path, body, stays) {
    return fetch(address + path, {
      method: body ? "POST" : "GET", credentials: "include", keepalive: !!stays,
      headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body),
      signal: win.AbortSignal && AbortSignal.timeout && AbortSignal.timeout(15e3)
    }).then(function (answer) {
      if (!answer.ok) throw new Error(answer.status);
      return answer.status === 204 || answer.json();
    });
  }

  function load() {
    return ask("state?lang=" + encodeURIComponent(root.lang || "") + (gpc ? "&gpc=1" : ""));
  }

  function tell(name, detail) {
    last[name] = detail;
    doc.dispatchEvent(new CustomEvent("tillid:" + name, { detail: detail }));
  }

  // has: every name (service, purpose or category) is granted; "!name": a no was said.
  function has(names) {
    names = words(names);
    return names.length > 0 && names.every(function (n) {
      if (n[0] === "!") return set.label && !set.ask && !has(n.slice(1));
      return n === "necessary" || words(set.has).indexOf(n) >= 0;
    });
  }

  // --- Gates: elements that say what they wait for.

  var gates = "[data-category],[data-service],[data-cookieconsent]";

  function gate(e) {
    var get = function (name) { return e.getAttribute("data-" + name); };
    if (!has(get("service") || get("category") || get("cookieconsent"))) return;
    if (e.nodeName === "SCRIPT") {
      if (e.type === "text/plain") line = line.then(function () { return run(e, get("type"), get("src") || get("cookieblock-src")); }).catch(nothing);
      return;
    }
    ["src", "srcset", "href", "poster", "cookieblock-src"].forEach(function (name) {
      var value = get(name);
      if (value === null) return;
      e.removeAttribute("data-" + name);
      e.setAttribute(name.replace("cookieblock-", ""), value);
      if (e.nodeName === "SOURCE" && e.parentNode.load) e.parentNode.load();
    });
  }

  // run replaces an inert script by one that runs, after those before it.
  function run(old, type, src) {
    return new Promise(function (done) {
      if (!old.isConnected) return done();
      var s = old.cloneNode();
      s.removeAttribute("type");
      if (type) s.type = type;
      s.nonce = old.nonce;
      if (src) s.src = trusted("createScriptURL", src);
      if (old.text) s.text = trusted("createScript", old.text);
      if (s.src && !s.hasAttribute("async")) s.onload = s.onerror = done;
      else done();
      old.replaceWith(s);
    });
  }

  // trusted vouches, for Trusted Types, for what stands in the page.
  var policy;
  function trusted(kind, value) {
    policy = policy || attempt(function () { return trustedTypes.createPolicy("tillid", { createScript: String, createScriptURL: String }); });
    return policy ? policy[kind](value) : value;
  }

  function openGates() {
    all(gates).forEach(gate);
    all("[class*=cookieconsent-opt]").forEach(function (e) {
      var out = /cookieconsent-optout/.test(e.className);
      var need = words(e.className.match(/optin-\w+|optout-\w+/g)).map(function (n) { return n.replace(/^\w+-/, ""); });
      e.style.display = has(need.length ? need : kinds) === !out ? "" : "none";
    });
    line.then(function () { cookiebot("OnTagsExecuted"); });
    if (watched) return;
    watched = new MutationObserver(function (changes) {
      changes.forEach(function (c) {
        [].forEach.call(c.addedNodes, function (n) {
          if (n.nodeType !== 1) return;
          if (n.matches(gates)) gate(n);
          all(gates, n).forEach(gate);
        });
      });
    });
    watched.observe(root, { childList: true, subtree: true });
  }

  // shut stops at once what a page may still ask of other hosts.
  function shut() {
    set.has = [];
    signal("update", true);
    var own = " 'self' data: blob: " + new URL(address, location.href).origin + ";";
    doc.head.append(el("meta", { "http-equiv": "Content-Security-Policy", content:
      ["connect", "img", "script", "frame", "media", "worker"].map(function (kind) { return kind + "-src" + own; }).join("") }, []));
    all("iframe").forEach(function (f) { if (f.src && new URL(f.src).origin !== location.origin) f.remove(); });
  }

  // --- Signals: the vendors' own words, for those the declaration has.

  function signal(when, no) {
    var s = set.signals || {};
    function say(values) {
      if (no) Object.keys(values).forEach(function (k) { values[k] = "denied"; });
      return values;
    }
    if (s.google) {
      var layer = win.dataLayer = win.dataLayer || [];
      win.gtag = win.gtag || function () { layer.push(arguments); };
      gtag("consent", when, say(s.google));
      gtag("set", "ads_data_redaction", s.google.ad_storage === "denied");
      gtag("set", "url_passthrough", false);
      layer.push({ event: "tillid_consent", tillid: { granted: no ? [] : granted(), names: words(set.has) } });
    }
    if (s.uet) (win.uetq = win.uetq || []).push("consent", when, say(s.uet));
    if (s.clarity) {
      win.clarity = win.clarity || function () { (clarity.q = clarity.q || []).push(arguments); };
      clarity("consentv2", say(s.clarity));
    }
  }

  // --- Choices.

  // more is what is only needed once somebody answers: a file of its own.
  function more() {
    return moreLoaded = moreLoaded || import(set.more).then(function (file) {
      return file.default({ ask: ask, press: press, sheet: sheet, address: address, settings: function () { return set; } });
    });
  }

  // again loads the page anew; what was typed, read and played there stays.
  function again(proof) {
    if (set.sent) return location.replace(proof ? proof.at : set.choices); // the page answers a form, which must not be sent twice
    more().then(function (m) { m.keep(proof); }).catch(nothing).then(function () { location.reload(); });
  }

  // lost: something that is granted here is not among the items.
  function lost(items) {
    return granted().some(function (id) { return items.indexOf(id) < 0; });
  }

  function choose(what, layer) {
    var before = set.state, had = set.has, taken = what.services || [];
    what.lang = set.lang;
    what.layer = layer || "api";
    what.gpc = gpc;
    what.page = location.pathname;
    var less = what.do === "none" ? !!before : what.do === "some" ? lost(taken) :
      what.do === "remove" && granted().some(function (id) { return taken.indexOf(id) >= 0; });
    if (less) shut();
    return Promise.all([ask("choice", what), more().catch(nothing)]).then(function (got) {
      var done = got[0], m = got[1];
      set = done.settings;
      if (channel) channel.postMessage(set.state);
      tell(less || done.kind === "withdrawn" ? "withdraw" : "choice", { kind: done.kind, granted: done.granted });
      return Promise.resolve(m && m.clear(done.clear, done.more, less)).then(function () {
        if (set.state === before) return close(), entry();
        if (less || done.reload && !(playing || set.sent)) return again(done.proof);
        close();
        entry();
        if (done.reload) return void (set.has = had); // a video plays in a frame: what is new comes with the next page
        signal("update");
        openGates();
        cookiebot("OnConsentReady");
      });
    });
  }

  // A frame that was clicked into may play.
  var playing = false;
  win.addEventListener("blur", function () {
    if (doc.activeElement && doc.activeElement.nodeName === "IFRAME") playing = true;
  });

  // --- What is shown.

  function button(label, what, name) {
    var b = el("button", { type: "button", "class": name }, [label]);
    b.addEventListener("click", function () { press(b, what, "banner"); });
    return b;
  }

  // press chooses; what fails is said beside the button, and nothing is loaded.
  function press(b, what, layer) {
    all("[role=alert]", b.parentNode).forEach(function (old) { old.remove(); });
    b.disabled = true;
    choose(what, layer).catch(function () {
      b.disabled = false;
      b.after(el("span", { role: "alert", "class": "tillid-alert" }, [" " + set.failed]));
    });
  }

  // What has focus, and the end of the page, come out from behind the banner.
  var sized = new ResizeObserver(function () {
    root.style.scrollPaddingBottom = root.style.paddingBottom = banner ? banner.offsetHeight + 16 + "px" : "";
  });

  function sheet(parts) {
    close();
    back = doc.activeElement;
    banner = el("section", { "class": "tillid-banner", role: "dialog", "aria-labelledby": "tillid-title", "aria-describedby": "tillid-text", lang: set.lang, dir: "auto", tabindex: "-1" }, parts);
    banner.addEventListener("keydown", function (e) {
      if (e.key === "Escape") close(); // hides it on this page; it is not an answer
    });
    doc.body.prepend(banner);
    sized.observe(banner);
    tell("show");
    cookiebot("OnDialogDisplay");
  }

  function first() {
    var q = set.ask, choices = el("a", { href: set.choices }, [q.choose]);
    choices.addEventListener("click", function (e) { e.preventDefault(); second(); });
    sheet([
      el("h2", { id: "tillid-title" }, [q.title]),
      el("div", { id: "tillid-text" }, [q.text, q.who, q.gpc].filter(Boolean).map(function (s) { return el("p", {}, [s]); })),
      el("div", { "class": "tillid-buttons" }, [
        button(q.no, q.only ? { do: "remove", services: q.only } : { do: "none" }, "tillid-button"),
        button(q.yes, q.only ? { do: "add", services: q.only } : { do: "all" }, "tillid-button")
      ]),
      el("p", { "class": "tillid-more" }, [choices])
    ]);
  }

  // second shows every service; the choices page does when that fails.
  function second() {
    return more().then(function (m) { return m.second(); }).catch(function () { location.href = set.choices || "/privacy/choices"; });
  }

  function close() {
    if (!banner) return;
    var inside = banner.contains(doc.activeElement);
    banner.remove();
    banner = null;
    if (inside && opener) opener.focus(), back.focus(); // the second where it can
  }

  // entry puts the way to the choices, and the click that withdraws, into the footer or a corner.
  function entry() {
    var old = doc.querySelector(".tillid-entry"), footer = all("body > footer, body > * > footer, [role=contentinfo]").pop();
    if (old) old.remove();
    opener = el("a", { href: set.choices }, [set.label]);
    (footer || doc.body).append(el("p", { "class": "tillid-entry" + (footer ? " tillid-in-footer" : ""), lang: set.lang, dir: "auto" },
      [opener].concat(set.withdraw ? [" ", button(set.withdraw, { do: "none" }, "tillid-link")] : [])));
  }

  // embeds makes the placeholders' buttons act without leaving the page.
  function embeds(event) {
    var b = event.target.closest && event.target.closest("[data-tillid-show],[data-tillid-once]");
    if (!b) return;
    event.preventDefault();
    if (b.name) press(b, { do: "add", services: [b.value] }, "placeholder");
    else more().then(function (m) { m.once(b); });
  }

  // --- For the page's own code: window.tillid, and what Cookiebot's users know.

  function decide(many, none) {
    return function (list) {
      return choose(list && list.length ? { do: many, services: words(list) } : { do: none });
    };
  }

  var tillid = win.tillid = {
    granted: granted, has: has, show: second,
    accept: decide("add", "all"), withdraw: decide("remove", "none"),
    reject: function () { return choose({ do: "none" }); },
    on: function (name, f) {
      doc.addEventListener("tillid:" + name, function (e) { f(e.detail); });
      if (name in last) f(last[name]);
    }
  };

  function cookiebot(event) {
    var c = win.Cookiebot;
    if (c && !c.tillid) return; // the real one is here
    c = c || (win.Cookiebot = win.CookieConsent = {
      tillid: true, show: second, renew: second, hide: close, withdraw: tillid.withdraw, runScripts: openGates,
      submitCustomConsent: function () {
        var yes = arguments;
        return choose({ do: "some", services: kinds.filter(function (k, i) { return yes[i]; }) });
      }
    });
    c.consent = { necessary: true, method: set.ask ? null : "explicit" };
    kinds.forEach(function (k) { c.consent[k] = has(k); });
    c.hasResponse = !!set.label && !set.ask;
    c.consented = !!set.state;
    c.declined = c.hasResponse && !set.state;
    var names = event ? [event] : [];
    if (event === "OnConsentReady") names.push(set.state ? "OnAccept" : "OnDecline");
    names.forEach(function (name) {
      win.dispatchEvent(new CustomEvent("Cookiebot" + name));
      var f = win["CookiebotCallback_" + name];
      if (typeof f === "function") attempt(f);
    });
  }

  // --- Start.

  var channel = attempt(function () { return new BroadcastChannel("tillid"); });

  // follow does here what was chosen in another tab.
  function follow(state) {
    if (state === set.state) return;
    if (lost(words(state))) {
      shut();
      again();
    } else load().then(function (s) { s.has = set.has; s.state = set.state; set = s; close(); entry(); }).catch(nothing);
  }

  function check() {
    if (set.state && doc.visibilityState === "visible") load().then(function (s) { if (lost(words(s.state))) follow(s.state); }).catch(nothing);
  }

  function start() {
    entry();
    cookiebot("OnLoad");
    if (set.ask) {
      cookiebot("OnDialogInit");
      if (gpc && !set.ask.gpc) load().then(function (s) { set = s; }).catch(nothing).then(first);
      else first();
    } else cookiebot("OnConsentReady");
    openGates();
    doc.addEventListener("click", embeds);
    doc.addEventListener("visibilitychange", check);
    if (channel) channel.onmessage = function (e) { follow(e.data); };
    // A page that comes back from the back/forward cache may show an earlier choice.
    win.addEventListener("pageshow", function (e) {
      if (e.persisted) load().then(function (s) { if (s.state !== set.state) location.reload(); }).catch(function () { location.reload(); });
    });
    // Only a reload can have kept something; to look makes a page wait.
    if (set.refused || performance.navigation.type === 1) {
      more().then(function (m) { m.restore(); return set.refused && m.clear(set.refused); }).catch(nothing);
    }
    tell("ready", { granted: granted() });
  }

  function begin(settings) {
    set = settings;
    signal("default");
    cookiebot();
    if (doc.readyState === "loading") doc.addEventListener("DOMContentLoaded", start);
    else start();
  }

  var given = attempt(function () { return JSON.parse(script.getAttribute("data-tillid")); });
  var told = (win.tillid_guard || {}).settings; // without the page's language
  if (told) set = told, signal("default");
  if (given) begin(given);
  else if (told && root.lang.slice(0, 2) === told.lang) begin(told);
  else load().then(begin).catch(nothing); // nothing is loaded, nothing is asked
})();
