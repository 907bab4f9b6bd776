// Tillid: what a script can do for a page that no server in front protects.
//
// First in the head, it puts the policy of this visitor's choice into the page, so
// that the browser itself stops what was not allowed: from then on, whoever asks.
// It tells Tillid which hosts were asked for. What a browser's look-ahead sent
// before this script ran, no script can stop.
(function (told) {
  "use strict";
  var doc = document, address = doc.currentScript.src.replace(/guard\.js.*$/, "csp");
  var sources = told.policy.split(/[\s;]+/).map(function (s) { return s.replace(/^\w+:\/\//, "").replace(/\/.*$/, ""); });
  var waiting = [], known = {};

  if (told.enforce) {
    var meta = doc.createElement("meta");
    meta.httpEquiv = "Content-Security-Policy";
    meta.content = told.policy;
    doc.head.append(meta);
    // No policy of a page governs these connections in every browser.
    if (!told.granted) ["RTCPeerConnection", "webkitRTCPeerConnection"].forEach(function (name) {
      if (name in window) Object.defineProperty(window, name, { value: undefined });
    });
  }

  function allowed(host, name) {
    return sources.some(function (s) {
      return s === host || s === name || s.slice(0, 2) === "*." && name.slice(1 - s.length) === s.slice(1);
    });
  }

  // note remembers one host that was asked for in one way, for one report soon.
  function note(target, directive) {
    var url;
    try { url = new URL(target); } catch (e) { return; }
    var key = url.host + " " + directive;
    if (!/^(https?|wss?):$/.test(url.protocol) || url.host === location.host || allowed(url.host, url.hostname) || known[key]) return;
    known[key] = true;
    if (waiting.push({ type: "csp-violation", body: { documentURL: location.origin + location.pathname, blockedURL: url.origin, effectiveDirective: directive } }) === 1) setTimeout(send, 1000);
  }

  function send() {
    fetch(address, {
      method: "POST", credentials: "omit", keepalive: true,
      headers: { "Content-Type": "application/reports+json" }, body: JSON.stringify(waiting.splice(0, 20))
    }).catch(function () {});
  }

  doc.addEventListener("securitypolicyviolation", function (e) { note(e.blockedURI, e.effectiveDirective); });
  if (told.enforce || !window.PerformanceObserver) return;
  var ways = { script: "script-src", img: "img-src", css: "style-src", link: "style-src", iframe: "frame-src", video: "media-src", audio: "media-src", fetch: "connect-src", xmlhttprequest: "connect-src", beacon: "connect-src" };
  new PerformanceObserver(function (list) {
    list.getEntries().forEach(function (e) { note(e.name, ways[e.initiatorType] || "default-src"); });
  }).observe({ type: "resource", buffered: true });
})(tillid_guard);
