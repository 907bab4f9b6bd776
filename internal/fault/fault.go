// Package fault holds the one error type that people outside the program may see.
//
// Every other error is internal: its text goes to the log, and the person sees
// only "Something went wrong on our side." with a reference to quote.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of mistake was made. It decides the HTTP status and the
// exit code; there are few of them on purpose.
type Kind uint8

const (
	Internal    Kind = iota // ours; the text is never shown
	Invalid                 // the input cannot be accepted
	NotFound                // no such thing, or not yours to see
	Denied                  // known, but not allowed
	Conflict                // already there, or changed meanwhile
	TooMany                 // too often; wait
	TooLarge                // more than is accepted
	Gone                    // was there, is deleted
	Unavailable             // a system we depend on did not answer
)

// Error is an error with a text written for a person. Msg and Hint are English
// (the command line prints them); ID names the same text in the catalogues,
// "fault.<id>" and "fault.<id>.hint", with Args as named values, for pages.
type Error struct {
	Kind Kind
	ID   string
	Args []any  // alternating names and values; no personal data
	Msg  string // one sentence, no personal data
	Hint string // what to do about it; may be empty
	Next string // where one goes on: a path on the same host, named by "fault.<id>.next"; may be empty
	Err  error  // the cause, for the log only
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Msg, e.Err)
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// New returns an Error of kind k with the English sentence. To give it a cause
// for the log, use Because: the sentence itself must be fit to leave the house.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...)}
}

// WithHint returns e with what to do about it.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// In returns e with its catalogue id and named values, so that pages show it
// in the person's language.
func (e *Error) In(id string, kv ...any) *Error {
	c := *e
	c.ID, c.Args = id, kv
	return &c
}

// Onward returns e with the path of the page where one goes on.
func (e *Error) Onward(path string) *Error {
	c := *e
	c.Next = path
	return &c
}

// Because returns e with a cause for the log.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Of returns what a person may be told about err. For an internal error that
// is an Error of kind Internal with a general sentence.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Kind != Internal {
		return e
	}
	return &Error{Kind: Internal, ID: "internal", Msg: "Something went wrong on our side.", Err: err}
}
