package mail

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-message"
	gomail "github.com/emersion/go-message/mail"
	"golang.org/x/net/html"
)

// Incoming is a letter that somebody wrote to us.
type Incoming struct {
	At        time.Time // when our mailbox got it
	From      string    // the writer's address, as the letter says
	Name      string    // the writer's name, as the letter says
	Subject   string
	Text      string
	Automatic bool // a machine wrote it: nothing answers by itself
	Files     []Attachment
	Cut       bool     // it had more parts than are read
	Digest    [32]byte // of the whole letter
}

// Attachment is a file of a letter.
type Attachment struct {
	Name    string
	Content []byte
}

// Limits of what is read of a letter.
const (
	maxParts = 30
	maxText  = 1 << 20
)

// Parse takes a letter apart. Of what cannot be read, the rest is; a letter without a
// sender, or that is none at all, is an error.
func Parse(raw []byte) (Incoming, error) {
	in := Incoming{Digest: sha256.Sum256(raw)}
	r, err := gomail.CreateReader(bytes.NewReader(raw))
	if r == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return in, errors.New("it is not a letter")
	}
	from, err := r.Header.AddressList("From")
	if err != nil || len(from) == 0 {
		return in, errors.New("it does not say who wrote it")
	}
	in.From, in.Name = from[0].Address, from[0].Name
	if in.Subject, err = r.Header.Subject(); err != nil {
		in.Subject = r.Header.Get("Subject")
	}
	auto := r.Header.Get("Auto-Submitted")
	in.Automatic = auto != "" && !strings.EqualFold(auto, "no") || r.Header.Get("List-Id") != "" ||
		strings.EqualFold(r.Header.Get("Precedence"), "bulk") || strings.HasPrefix(r.Header.Get("Return-Path"), "<>")
	in.parts(r)
	in.Text = strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(in.Text, "\r\n", "\n"), "\uFFFD"))
	return in, nil
}

func (in *Incoming) parts(r *gomail.Reader) {
	var page string
	for n := 0; ; n++ {
		part, err := r.NextPart()
		if part == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			break
		}
		if n == maxParts {
			in.Cut = true
			break
		}
		switch h := part.Header.(type) {
		case *gomail.InlineHeader:
			kind, params, _ := h.ContentType()
			switch {
			case kind == "text/plain" && len(in.Text) < maxText:
				in.Text += limited(part.Body, maxText) + "\n"
			case kind == "text/html":
				page += limited(part.Body, maxText)
			case !strings.HasPrefix(kind, "multipart/"):
				in.attach(params["name"], part.Body)
			}
		case *gomail.AttachmentHeader:
			name, _ := h.Filename()
			in.attach(name, part.Body)
		}
	}
	if strings.TrimSpace(in.Text) == "" {
		in.Text = plain(page)
	}
}

func (in *Incoming) attach(name string, body io.Reader) {
	content, err := io.ReadAll(body)
	if err != nil {
		in.Cut = true
	}
	in.Files = append(in.Files, Attachment{name, content})
}

func limited(r io.Reader, n int64) string {
	b, _ := io.ReadAll(io.LimitReader(r, n))
	return string(b)
}

// plain is the text of a page, with its lines.
func plain(page string) string {
	var b strings.Builder
	skip := 0
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return strings.TrimSpace(b.String())
		case html.TextToken:
			if skip == 0 {
				b.Write(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "style", "script", "title":
				skip++
			case "br", "p", "div", "tr", "li", "h1", "h2", "h3":
				b.WriteByte('\n')
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); skip > 0 && (string(name) == "style" || string(name) == "script" || string(name) == "title") {
				skip--
			}
		}
	}
}
