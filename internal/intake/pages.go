package intake

import (
	"embed"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = sync.OnceValue(func() *web.Pages { return web.Parse(pageFiles) })

// Names that a post may carry beside the form's fields.
const (
	tokenField = "_token"
	langField  = "_lang"
)

// PublicRoutes puts the forms on a site's host.
func (s *Service) PublicRoutes(mux *http.ServeMux) {
	mux.Handle("GET /privacy/form/{form}", web.Wrap(s.Log, s.showForm))
	mux.Handle("POST /_tillid/forms/{form}", web.Wrap(s.Log, s.take))
	mux.Handle("GET /_tillid/forms/{form}", web.Wrap(s.Log, s.describe))
	mux.Handle("GET /privacy/thanks/{token}", web.Wrap(s.Log, s.thanks))
	mux.Handle("GET /privacy/thanks/{token}/receipt.json", web.Wrap(s.Log, s.receiptFile))
}

// formOf returns the declared form that a request names. One that was rendered
// here but is no longer declared is gone, not unknown.
func (s *Service) formOf(r *http.Request, token string) (*policy.Form, error) {
	id := r.PathValue("form")
	if f := s.Plan().Form(id); f != nil && taken(f) {
		return f, nil
	}
	if token != "" && s.readFormToken(id, token).valid {
		return nil, fault.New(fault.Gone, "This form has been closed. What you wrote was not sent.").
			WithHint("Find another way to reach us on the website.").In("intake.closed_form")
	}
	return nil, fault.New(fault.NotFound, "There is no such form.").
		WithHint("Find the form on the website.").In("intake.no_form")
}

// unknownFormLimit is how much is read of a post to a form that is not declared.
const unknownFormLimit = 64 << 10

// take is the one gate behind both doors, the HTML form and the JSON API.
func (s *Service) take(w http.ResponseWriter, r *http.Request) error {
	api := fromProgram(r)
	if api {
		r.Header.Set("Accept", "application/json")
	}
	if s.Limit != nil {
		if err := s.Limit(r); err != nil {
			return err
		}
	}
	form, err := s.formOf(r, "")
	if err != nil {
		values, _ := decode(w, r, sizes{unknownFormLimit, unknownFormLimit}, noFile)
		_, err = s.formOf(r, values[tokenField])
		return err
	}
	files := &uploads{s: s, ctx: r.Context(), form: form}
	if takesFiles(form) {
		patient(w, r)
	}
	values, err := decode(w, r, limitOf(form), files.take)
	if err != nil {
		return err
	}
	if err := files.again(values); err != nil {
		return err
	}
	in, mistakes := s.read(r, form, values, files)
	if len(mistakes) > 0 {
		return s.wrong(w, r, in, values, mistakes, api)
	}
	receipt, err := s.submit(r.Context(), in)
	if db.IsUnavailable(err) && !api {
		return s.later(w, r, in, values, err)
	}
	if err != nil {
		return err
	}
	return s.answer(w, r, receipt, api)
}

// fromProgram reports whether the JSON door was used: by what is sent, or, with files,
// by what is wanted back.
func fromProgram(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && (kind == "application/json" || kind == "multipart/form-data" && r.Header.Get("Accept") == "application/json")
}

// read takes what belongs to the gate out of values and checks the rest.
func (s *Service) read(r *http.Request, form *policy.Form, values map[string]string, files *uploads) (submission, []mistake) {
	in := submission{form: form, token: values[tokenField], lang: s.langOf(r, values[langField]), files: files.files, sealKey: files.key, filesToken: files.token()}
	if k := r.Header.Get("Idempotency-Key"); len(k) <= 200 {
		in.key = k
	}
	in.rendered = s.readFormToken(form.ID, in.token)
	fields := map[string]string{}
	for name, v := range values {
		fields[name] = v
	}
	delete(fields, tokenField)
	delete(fields, langField)
	withoutFiles(fields)
	for _, days := range []int{0, -1} {
		trap := s.trap(form.ID, s.Now().AddDate(0, 0, days))
		in.trapped = in.trapped || fields[trap] != ""
		delete(fields, trap)
	}
	var mistakes []mistake
	in.answers, mistakes = s.check(form, fields, files)
	return in, mistakes
}

// langOf is the language a form was shown in, when it says so; else the request's.
func (s *Service) langOf(r *http.Request, said string) text.Lang {
	offered := s.Plan().Languages
	if len(offered) == 0 {
		offered = text.Langs()
	}
	for _, l := range offered {
		if said == string(l) {
			return l
		}
	}
	return web.LangOf(r, offered)
}

// wrong answers 422 with every mistake, and, to a person, the form as it was filled in.
func (s *Service) wrong(w http.ResponseWriter, r *http.Request, in submission, values map[string]string, mistakes []mistake, api bool) error {
	if api {
		fields := map[string]string{}
		for _, m := range mistakes {
			fields[shortName(m.Field)] = m.Text(in.lang)
		}
		return writeJSON(w, http.StatusUnprocessableEntity, map[string]any{
			"type": "urn:tillid:fault:intake.wrong", "title": text.T(in.lang, "intake.form.mistakes"), "status": http.StatusUnprocessableEntity, "fields": fields,
		}, "application/problem+json")
	}
	page := s.formPage(s.frame(r, in.lang), in.form, values, mistakes)
	page.Token = s.tokenAgain(in)
	page.keep(in)
	return web.Render(w, http.StatusUnprocessableEntity, pages(), "form", web.Public, page)
}

// later answers 503 with the form as it was filled in: nothing could be saved, and
// nobody should have to write it twice.
func (s *Service) later(w http.ResponseWriter, r *http.Request, in submission, values map[string]string, err error) error {
	s.Log.ErrorContext(r.Context(), "submission not saved", "form", in.form.ID, "err", err)
	page := s.formPage(s.frame(r, in.lang), in.form, values, nil)
	page.Token = s.tokenAgain(in)
	page.keep(in)
	page.Later, _ = web.Say(in.lang, db.AsFault(err))
	w.Header().Set("Retry-After", "30")
	return web.Render(w, http.StatusServiceUnavailable, pages(), "form", web.Public, page)
}

// frame is the public frame in the language that the form was shown in.
func (s *Service) frame(r *http.Request, l text.Lang) web.Frame {
	f := s.House.Public(r)
	f.Lang = l
	return f
}

// answer tells the sender that it is stored.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, receipt Receipt, api bool) error {
	if !api {
		http.Redirect(w, r, receipt.Thanks, http.StatusSeeOther)
		return nil
	}
	status := http.StatusCreated
	if receipt.Already {
		status = http.StatusOK
	}
	w.Header().Set("Location", receipt.Thanks)
	return writeJSON(w, status, receipt, "application/json")
}

func writeJSON(w http.ResponseWriter, status int, v any, kind string) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
	return nil
}

// showForm renders a declared form.
func (s *Service) showForm(w http.ResponseWriter, r *http.Request) error {
	form, err := s.formOf(r, "")
	if err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "form", web.Public, s.formPage(s.House.Public(r), form, nil, nil))
}

// description is what a program needs to know to send a form.
type description struct {
	Form   string        `json:"form"`
	Label  string        `json:"label"`
	Notice string        `json:"notice"`
	Token  string        `json:"_token"`
	Fields []describedIn `json:"fields"`
}

type describedIn struct {
	Name      string   `json:"name"`
	Label     string   `json:"label"`
	Type      string   `json:"type"`
	Required  bool     `json:"required"`
	MaxLength int      `json:"max_length"`
	Choices   []string `json:"choices,omitempty"`
}

// describe gives a form to a program: the same declaration, with a fresh token.
func (s *Service) describe(w http.ResponseWriter, r *http.Request) error {
	form, err := s.formOf(r, "")
	if err != nil {
		return err
	}
	l := s.langOf(r, "")
	d := description{Form: form.ID, Label: form.Label.In(l), Notice: form.Notice.In(l), Token: s.formToken(form.ID)}
	for _, f := range s.fields(form, l, nil, nil) {
		in := describedIn{Name: f.Name, Label: f.Label, Type: f.Type, Required: f.Required, MaxLength: f.MaxLength}
		for _, c := range f.Choices {
			in.Choices = append(in.Choices, c.ID)
		}
		d.Fields = append(d.Fields, in)
	}
	return writeJSON(w, http.StatusOK, d, "application/json")
}

// thanksPage shows what the sender can hold against us.
type thanksPage struct {
	web.Frame
	Receipt Receipt
	Form    string
	Keep    string
	Proof   bool // the log has numbered the leaf
	Index   int64
	File    string
	Mailed  bool
}

func (s *Service) thanks(w http.ResponseWriter, r *http.Request) error {
	e, err := s.thanked(r)
	if err != nil {
		return err
	}
	page := thanksPage{Frame: s.House.Public(r), Receipt: s.receiptOf(e)}
	page.File = page.Receipt.Thanks + "/receipt.json"
	if form := s.Plan().Form(e.Form); form != nil {
		page.Form, page.Mailed = form.Label.In(page.Lang), wantsReceipt(form) && e.Quarantine == ""
		if record, err := s.Subjects.Get(r.Context(), s.DB, e.ID); err == nil {
			if rule := s.Plan().Rule(record.Rule); rule != nil {
				page.Keep = ruleText(rule, page.Lang)
			}
		}
	}
	proof, err := s.Ledger.Prove(r.Context(), e.Leaf)
	switch {
	case err == nil:
		page.Proof, page.Index = true, proof.Index
	case !errors.Is(err, ledger.ErrWaiting):
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "thanks", web.Public, page)
}

// thanked returns the submission that a receipt's address names. One that has
// been deleted is gone: the sender may know.
func (s *Service) thanked(r *http.Request) (enquiry, error) {
	id, ok := s.readThanks(r.PathValue("token"))
	if !ok {
		return enquiry{}, web.NotFound(nil, r)
	}
	e, err := getEnquiry(r.Context(), s.DB, id)
	if fault.Of(err).Kind == fault.NotFound {
		return e, fault.New(fault.Gone, "What you sent has been deleted.").
			WithHint("That was promised. The log still shows that it was received.").In("intake.deleted")
	}
	return e, err
}

// receiptFile is the receipt as a file: the promise, and the proof when there is one.
func (s *Service) receiptFile(w http.ResponseWriter, r *http.Request) error {
	e, err := s.thanked(r)
	if err != nil {
		return err
	}
	out := struct {
		Receipt
		Proof *ledger.Proof `json:"proof,omitempty"`
	}{Receipt: s.receiptOf(e)}
	if out.Proof, err = s.Ledger.Prove(r.Context(), e.Leaf); err != nil && !errors.Is(err, ledger.ErrWaiting) {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="receipt-`+strings.ToLower(e.Number)+`.json"`)
	return writeJSON(w, http.StatusOK, out, "application/json")
}
