//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
)

// way is one way in which a page can reach another host without being told to:
// markup that nobody annotated, or a call of a script. Each way reaches a host of
// its own, so that a sink can tell which of them got through.
type way struct {
	name string
	// Where it stands in the page; HOST is its host. A script is the body of a
	// function that may return a promise, and may fail.
	head, body, script, header string
	// How a declaration lets it in: the key under hosts, "" for what no directive of
	// its own governs.
	hosts string
	// Why neither a policy nor a filtered header governs it; "" when one does.
	free string
	// Why the browser connects to the host although it sends no request.
	connects string
	// Why a test cannot rely on seeing it when nothing stops it; "" when it can.
	unseen string
}

// host is the outside host that only this way reaches.
func (w way) host() string { return "w-" + w.name + ".test" }

func (w way) at(s string) string { return strings.ReplaceAll(s, "HOST", w.host()) }

const early = "Chromium connects for a navigation before it asks the policy, which then stops the request"

// ways are all that are tried: static markup, styles, calls, workers, headers.
var ways = []way{
	{name: "style", hosts: "style", head: `<link rel="stylesheet" href="https://HOST/a.css">`},
	{name: "import", hosts: "style", head: `<style>@import url(https://HOST/a.css);</style>`},
	{name: "font", hosts: "font", head: `<style>@font-face { font-family: w; src: url(https://HOST/f.woff2) } .w-font { font-family: w }</style>`, body: `<p class="w-font">text</p>`},
	{name: "background", hosts: "image", head: `<style>.w-background { background: url(https://HOST/b.png) }</style>`, body: `<p class="w-background">text</p>`},
	{name: "style-attribute", hosts: "image", body: `<p style="background: image-set('https://HOST/b.png' 1x)">text</p>`},
	{name: "preload", hosts: "script", head: `<link rel="preload" as="script" href="https://HOST/a.js">`},
	{name: "modulepreload", hosts: "script", head: `<link rel="modulepreload" href="https://HOST/a.js">`},
	{name: "prefetch", hosts: "connect", head: `<link rel="prefetch" href="https://HOST/a">`},
	{name: "preconnect", hosts: "connect", head: `<link rel="preconnect" href="https://HOST">`},
	{name: "dns-prefetch", hosts: "connect", head: `<link rel="dns-prefetch" href="https://HOST">`, unseen: "it asks a name server only"},
	{name: "icon", hosts: "image", head: `<link rel="icon" href="https://HOST/a.ico">`},
	{name: "manifest", hosts: "manifest", head: `<link rel="manifest" href="https://HOST/m.json">`},
	{name: "script", hosts: "script", head: `<script src="https://HOST/a.js"></script>`},
	{name: "async", hosts: "script", head: `<script async src="https://HOST/a.js"></script>`},
	{name: "module", hosts: "script", head: `<script type="module" src="https://HOST/a.js"></script>`},
	{name: "svg-script", hosts: "script", body: `<svg width="1" height="1"><script href="https://HOST/a.js"></script></svg>`},
	{name: "img", hosts: "image", body: `<img src="https://HOST/a.png" alt="">`},
	{name: "srcset", hosts: "image", body: `<img srcset="https://HOST/a.png 1x" alt="">`},
	{name: "picture", hosts: "image", body: `<picture><source srcset="https://HOST/a.png"><img src="/own.png" alt=""></picture>`},
	{name: "lazy-img", hosts: "image", body: `<img loading="lazy" src="https://HOST/a.png" alt="">`},
	{name: "video", hosts: "media", body: `<video preload="auto" src="https://HOST/a.mp4"></video>`},
	{name: "source", hosts: "media", body: `<video preload="auto"><source src="https://HOST/a.mp4"></video>`},
	{name: "poster", hosts: "image", body: `<video poster="https://HOST/a.png"></video>`},
	{name: "audio", hosts: "media", body: `<audio preload="auto" src="https://HOST/a.mp3"></audio>`},
	{name: "track", hosts: "media", body: `<video src="/own.mp4" crossorigin><track default kind="subtitles" src="https://HOST/a.vtt"></video>`, script: `document.querySelectorAll("track").forEach(t => t.track.mode = "showing")`},
	{name: "frame", hosts: "frame", body: `<iframe src="https://HOST/"></iframe>`},
	{name: "lazy-frame", hosts: "frame", body: `<iframe loading="lazy" src="https://HOST/"></iframe>`},
	{name: "srcdoc", hosts: "image", body: `<iframe srcdoc="&lt;img src='https://HOST/a.png'&gt;"></iframe>`},
	{name: "object", hosts: "object", body: `<object data="https://HOST/"></object>`},
	{name: "embed", hosts: "object", body: `<embed src="https://HOST/">`},
	{name: "svg-image", hosts: "image", body: `<svg><image href="https://HOST/a.png" width="9" height="9"/></svg>`},
	{name: "svg-filter", hosts: "image", body: `<svg><filter id="w-f"><feImage href="https://HOST/a.png"/></filter><rect width="9" height="9" filter="url(#w-f)"/></svg>`},
	{name: "input", hosts: "image", body: `<input type="image" src="https://HOST/a.png" alt="">`},
	{name: "attribute", hosts: "image", body: `<table background="https://HOST/a.png"><tr><td>text</td></tr></table>`},
	{name: "form", hosts: "form", body: `<form id="w-form" method="post" action="https://HOST/" target="w-target"></form><iframe name="w-target"></iframe>`, script: `document.getElementById("w-form").submit()`, connects: early},
	{name: "ping", hosts: "connect", body: `<a id="w-ping" href="#w-ping" ping="https://HOST/">text</a>`, script: `document.getElementById("w-ping").click()`},

	{name: "fetch", hosts: "connect", script: `return fetch("https://HOST/", { mode: "no-cors" })`},
	{name: "keepalive", hosts: "connect", script: `return fetch("https://HOST/", { mode: "no-cors", keepalive: true, method: "POST", body: "x" })`},
	{name: "xhr", hosts: "connect", script: `var x = new XMLHttpRequest(); x.open("GET", "https://HOST/"); x.send()`},
	{name: "beacon", hosts: "connect", script: `navigator.sendBeacon("https://HOST/", "x")`},
	{name: "socket", hosts: "connect", script: `new WebSocket("wss://HOST/")`},
	{name: "events", hosts: "connect", script: `new EventSource("https://HOST/")`},
	{name: "transport", hosts: "connect", script: `return new WebTransport("https://HOST/").ready`, unseen: "it speaks QUIC, which is switched off here"},
	{name: "image", hosts: "image", script: `new Image().src = "https://HOST/a.png"`},
	{name: "sound", hosts: "media", script: `new Audio("https://HOST/a.mp3").load()`},
	{name: "insert-script", hosts: "script", script: `var s = document.createElement("script"); s.src = "https://HOST/a.js"; document.body.append(s)`},
	{name: "insert-frame", hosts: "frame", script: `var f = document.createElement("iframe"); f.src = "https://HOST/"; document.body.append(f)`, connects: early},
	{name: "insert-markup", hosts: "image", script: `var d = document.createElement("div"); d.innerHTML = "<img src='https://HOST/a.png'>"; document.body.append(d)`},
	{name: "insert-preconnect", hosts: "connect", script: `var l = document.createElement("link"); l.rel = "preconnect"; l.href = "https://HOST"; document.head.append(l)`, free: "no policy governs preconnect, and only a script asks for this one"},
	{name: "insert-prefetch", hosts: "connect", script: `var l = document.createElement("link"); l.rel = "prefetch"; l.href = "https://HOST/a"; document.head.append(l)`},
	{name: "dynamic-import", hosts: "script", script: `return import("https://HOST/a.js")`},
	{name: "font-face", hosts: "font", script: `return new FontFace("x", "url(https://HOST/f.woff2)").load()`},
	{name: "sheet", hosts: "image", script: `var s = new CSSStyleSheet(); s.replaceSync(".w-sheet { background: url(https://HOST/a.png) }"); document.adoptedStyleSheets = [s]; var p = document.createElement("p"); p.className = "w-sheet"; p.textContent = "x"; document.body.append(p)`},
	{name: "insert-srcdoc", hosts: "connect", script: `var f = document.createElement("iframe"); f.srcdoc = "<script>fetch('https://HOST/', { mode: 'no-cors' })<\/script>"; document.body.append(f)`},
	{name: "blob-frame", hosts: "connect", script: `var f = document.createElement("iframe"); f.src = URL.createObjectURL(new Blob(["<script>fetch('https://HOST/', { mode: 'no-cors' })<\/script>"], { type: "text/html" })); document.body.append(f)`},
	{name: "data-frame", hosts: "connect", script: `var f = document.createElement("iframe"); f.src = "data:text/html," + encodeURIComponent("<script>fetch('https://HOST/', { mode: 'no-cors' })<\/script>"); document.body.append(f)`},
	{name: "blank-frame", hosts: "connect", script: `var f = document.createElement("iframe"); document.body.append(f); f.contentWindow.fetch("https://HOST/", { mode: "no-cors" })`},
	{name: "blob-worker", hosts: "connect", script: `new Worker(URL.createObjectURL(new Blob(["fetch('https://HOST/', { mode: 'no-cors' })"])))`},
	{name: "data-worker", hosts: "connect", script: `new Worker("data:text/javascript," + encodeURIComponent("fetch('https://HOST/', { mode: 'no-cors' })"))`},
	{name: "import-scripts", hosts: "script", script: `new Worker(URL.createObjectURL(new Blob(["importScripts('https://HOST/a.js')"])))`},
	{name: "own-worker", hosts: "connect", script: `new Worker("/worker.js?https://HOST/")`},
	{name: "shared-worker", hosts: "connect", script: `new SharedWorker("/worker.js?https://HOST/?" + Math.random())`},
	{name: "service-worker", hosts: "connect", script: `return navigator.serviceWorker.register("/worker.js?https://HOST/", { scope: "/nowhere/" })`},
	{name: "worklet", hosts: "script", script: `return new OfflineAudioContext(1, 1, 44100).audioWorklet.addModule("https://HOST/a.js")`},
	{name: "speculation", hosts: "connect", script: `var s = document.createElement("script"); s.type = "speculationrules"; s.textContent = JSON.stringify({ prefetch: [{ source: "list", urls: ["https://HOST/"], eagerness: "immediate" }] }); document.head.append(s)`, free: "no policy governs speculation rules, and only a script writes these"},
	{name: "speculation-markup", hosts: "connect", head: `<script type="speculationrules">{"prefetch":[{"source":"list","urls":["https://HOST/"],"eagerness":"immediate"}]}</script>`},
	{name: "payment", hosts: "connect", script: `return new PaymentRequest([{ supportedMethods: "https://HOST/pay" }], { total: { label: "x", amount: { currency: "EUR", value: "1" } } }).canMakePayment()`},
	{name: "identity", hosts: "connect", script: `return navigator.credentials.get({ identity: { providers: [{ configURL: "https://HOST/fedcm.json", clientId: "x" }] } })`},
	{name: "attribution", hosts: "image", script: `var i = new Image(); i.attributionSrc = "https://HOST/a"; i.src = "/own.png"`, unseen: "Chromium registers only in profiles that take part in measuring advertising"},
	{name: "webrtc", hosts: "", script: `var p = new RTCPeerConnection({ iceServers: [{ urls: "stun:HOST:PORT" }] }); p.createDataChannel("x"); return p.createOffer().then(o => p.setLocalDescription(o))`, free: "WebRTC is no fetch; Chromium knows no directive for it"},

	{name: "link-header", hosts: "style", header: `Link: <https://HOST/a.css>; rel=preload; as=style`},
	{name: "link-preconnect", hosts: "connect", header: `Link: <https://HOST>; rel=preconnect`},
	{name: "csp-report", hosts: "connect", header: `Content-Security-Policy-Report-Only: img-src 'none'; report-uri https://HOST/r`},
	{name: "reporting", hosts: "connect", header: `Reporting-Endpoints: default="https://HOST/r"`, unseen: "Chromium keeps reports back for up to a minute"},
}

// hostile is a site of which every page tries all ways at once, by markup and
// headers that nobody annotated. Its /worker.js asks for what its address says;
// /done.js is 200 when the page's own script has tried everything. PORT in a way
// is the port of the sink.
func hostile(list []way, sinkPort string) http.Handler {
	var head, body, script strings.Builder
	for _, w := range list {
		at := func(s string) string { return strings.ReplaceAll(w.at(s), "PORT", sinkPort) }
		head.WriteString(at(w.head))
		body.WriteString(at(w.body) + "\n")
		if w.script != "" {
			fmt.Fprintf(&script, "tried(async function () { %s });\n", at(w.script))
		}
	}
	page := `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Hostile</title>` + head.String() + `</head><body><h1>Hostile</h1><p id="own" onclick="window.clicked = true">own</p>` +
		body.String() + `<script>window.tries = 0; function tried(f) { try { Promise.resolve(f()).catch(function () {}) } catch (e) {} window.tries++ }
` + script.String() + `</script></body></html>`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/worker.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `fetch(location.search.slice(1), { mode: "no-cors" }).catch(function () {});`)
			return
		case "/own.png", "/own.mp4":
			http.NotFound(w, r)
			return
		}
		for _, way := range list {
			if name, value, ok := strings.Cut(way.at(way.header), ": "); ok {
				w.Header().Add(name, value)
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
	})
}

// scripts counts the ways that a script tries.
func scripts(list []way) (n int) {
	for _, w := range list {
		if w.script != "" {
			n++
		}
	}
	return n
}
