// Package desk connects to a help desk that receives enquiries as tickets, and
// carries a simulator of one (Server) for the demo and the tests. The system is
// invented: no vendor has this interface.
package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// Kind is the connector's name in a declaration (engagements.*.connector.kind).
const Kind = "desk"

// object is what a connect.Ref of this connector names.
const object = "ticket"

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// Client is the connector. It implements connect.Processor.
type Client struct {
	URL  string // base address
	HTTP *http.Client
	Now  func() time.Time
}

var _ connect.Processor = (*Client)(nil)

// NewClient returns a connector with time limits that follows no redirect.
func NewClient(base string, now func() time.Time) *Client {
	return &Client{URL: strings.TrimSuffix(base, "/"), Now: now, HTTP: &http.Client{
		Timeout:       15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ticket is a ticket as it travels.
type ticket struct {
	ID        string  `json:"id,omitempty"`
	Reference string  `json:"reference"`
	Kind      string  `json:"kind"`
	Subject   string  `json:"subject"`
	Fields    []field `json:"fields"`
}

type field struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

type found struct {
	Tickets []ticket `json:"tickets"`
}

// Describe implements connect.Processor: one phase, at once.
func (c *Client) Describe() connect.Semantics {
	return connect.Semantics{System: Kind, Objects: []string{object}}
}

// Send creates a ticket. It looks first whether an earlier attempt, whose answer
// was lost, made it already: idempotency keys do not live forever.
func (c *Client) Send(ctx context.Context, out connect.Outbound, key string) (connect.Ref, connect.Receipt, error) {
	refs, err := c.search(ctx, "reference", out.Record)
	if err != nil {
		return connect.Ref{}, connect.Receipt{}, err
	}
	if len(refs) > 0 {
		return refs[0], connect.Receipt{At: c.Now(), Status: "found"}, nil
	}
	t := ticket{Reference: out.Record, Kind: out.Kind, Subject: out.Subject, Fields: []field{}}
	for _, f := range out.Fields {
		t.Fields = append(t.Fields, field{f.Label, f.Value.Reveal()})
	}
	var made ticket
	receipt, err := c.do(ctx, http.MethodPost, "/tickets", key, t, &made)
	if err != nil {
		return connect.Ref{}, connect.Receipt{}, err
	}
	if made.ID == "" {
		return connect.Ref{}, connect.Receipt{}, unavailable(fmt.Errorf("desk: create: no id in the answer"))
	}
	return connect.Ref{Object: object, ID: made.ID, Reference: out.Record}, receipt, nil
}

// Resolve finds tickets by our reference and by the person's e-mail addresses and phone numbers.
func (c *Client) Resolve(ctx context.Context, ids []connect.Identifier) ([]connect.Ref, error) {
	var all []connect.Ref
	seen := map[connect.Ref]bool{}
	for _, id := range ids {
		param := "value"
		switch id.Kind {
		case connect.Reference:
			param = "reference"
		case subject.Email, subject.Phone:
		default:
			continue // a help desk knows no visitor ids
		}
		refs, err := c.search(ctx, param, id.Value.Reveal())
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			if !seen[ref] {
				seen[ref] = true
				all = append(all, ref)
			}
		}
	}
	return all, nil
}

// Erase deletes a ticket; one that is not there any more is fine. A ticket that
// has got another id since is found by our reference.
func (c *Client) Erase(ctx context.Context, ref connect.Ref, key string) (connect.Receipt, error) {
	receipt, err := c.delete(ctx, ref.ID, key)
	if err != nil || ref.Reference == "" {
		return receipt, err
	}
	refs, err := c.search(ctx, "reference", ref.Reference)
	if err != nil {
		return connect.Receipt{}, err
	}
	for _, r := range refs {
		if r.ID == ref.ID { // kept, or not gone yet: Probe sees it
			continue
		}
		if receipt, err = c.delete(ctx, r.ID, key); err != nil {
			return connect.Receipt{}, err
		}
	}
	return receipt, nil
}

func (c *Client) delete(ctx context.Context, id, key string) (connect.Receipt, error) {
	return c.do(ctx, http.MethodDelete, "/tickets/"+url.PathEscape(id), key, nil, nil)
}

// Purge does nothing: there is no second phase.
func (c *Client) Purge(context.Context, connect.Ref, string) (connect.Receipt, error) {
	return connect.Receipt{}, nil
}

// Probe searches for the ticket by its id and by our reference: an id that is
// not found says nothing while the system may have given another.
func (c *Client) Probe(ctx context.Context, ref connect.Ref) (connect.Presence, error) {
	refs, err := c.search(ctx, "id", ref.ID)
	if err == nil && len(refs) == 0 && ref.Reference != "" {
		refs, err = c.search(ctx, "reference", ref.Reference)
	}
	switch {
	case err != nil:
		return connect.Unknown, err
	case len(refs) > 0:
		return connect.Present, nil
	}
	return connect.Gone, nil
}

// search uses POST so that no address stands in an address line or a log.
func (c *Client) search(ctx context.Context, by, value string) ([]connect.Ref, error) {
	var f found
	if _, err := c.do(ctx, http.MethodPost, "/search", "", map[string]string{by: value}, &f); err != nil {
		return nil, err
	}
	refs := make([]connect.Ref, len(f.Tickets))
	for i, t := range f.Tickets {
		refs[i] = connect.Ref{Object: object, ID: t.ID, Reference: t.Reference}
	}
	return refs, nil
}

func (c *Client) do(ctx context.Context, method, path, key string, in, out any) (connect.Receipt, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return connect.Receipt{}, fmt.Errorf("desk: marshal: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, body)
	if err != nil {
		return connect.Receipt{}, fmt.Errorf("desk: request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return connect.Receipt{}, unavailable(withoutAddress(err))
	}
	defer resp.Body.Close()
	return c.answer(method, resp, out)
}

func (c *Client) answer(method string, resp *http.Response, out any) (connect.Receipt, error) {
	receipt := connect.Receipt{RequestID: resp.Header.Get("X-Request-Id"), At: c.Now(), Status: resp.Status}
	switch s := resp.StatusCode; {
	case s == http.StatusNotFound && method == http.MethodDelete:
		return receipt, nil
	case s == http.StatusTooManyRequests || s >= 500:
		return receipt, unavailable(fmt.Errorf("desk: %s: status %d", method, s))
	case s >= 300:
		return receipt, fault.New(fault.Invalid, "The help desk refuses the request.").
			In("desk.refused").Because(fmt.Errorf("desk: %s: status %d", method, s))
	}
	if out == nil {
		return receipt, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return receipt, unavailable(fmt.Errorf("desk: %s: read answer: %w", method, err))
	}
	return receipt, nil
}

func unavailable(err error) error {
	return fault.New(fault.Unavailable, "The help desk does not answer.").In("desk.unavailable").Because(err)
}

// withoutAddress takes the address out of an error: it may name an object.
func withoutAddress(err error) error {
	if e, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client returns exactly this
		return fmt.Errorf("desk: %w", e.Err)
	}
	return err
}
