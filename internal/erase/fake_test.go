package erase_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/connect"
)

// fake is a processor in memory. The simulator over HTTP has tests of its own;
// this one can fail at every point.
type fake struct {
	mu       sync.Mutex
	objects  map[string]connect.Outbound
	made     int
	erased   []string // keys of the commands
	keep     bool     // says yes and keeps
	down     bool
	loses    bool // does it, and loses the answer
	lag      time.Duration
	phases   int
	inFlight func() // runs between receiving and answering a Send
}

var errDown = errors.New("down")

func (f *fake) Describe() connect.Semantics {
	return connect.Semantics{System: "fake", Lag: f.lag, TwoPhase: f.phases > 1}
}

func (f *fake) Send(_ context.Context, out connect.Outbound, key string) (connect.Ref, connect.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return connect.Ref{}, connect.Receipt{}, errDown
	}
	id := ""
	for have, o := range f.objects {
		if o.Record == out.Record {
			id = have
		}
	}
	if id == "" {
		f.made++
		id = fmt.Sprint("t", f.made)
		f.objects[id] = out
	}
	if f.inFlight != nil {
		f.inFlight()
	}
	if f.loses {
		return connect.Ref{}, connect.Receipt{}, errDown
	}
	return connect.Ref{Object: "ticket", ID: id}, connect.Receipt{RequestID: "req-" + key}, nil
}

func (f *fake) Resolve(_ context.Context, ids []connect.Identifier) ([]connect.Ref, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errDown
	}
	var refs []connect.Ref
	for have, o := range f.objects {
		for _, id := range ids {
			if (id.Kind == connect.Reference && o.Record == id.Value.Reveal()) ||
				(id.Kind != connect.Reference && strings.Contains(o.Subject, id.Value.Reveal())) {
				refs = append(refs, connect.Ref{Object: "ticket", ID: have})
			}
		}
	}
	return refs, nil
}

func (f *fake) Erase(_ context.Context, ref connect.Ref, key string) (connect.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return connect.Receipt{}, errDown
	}
	f.erased = append(f.erased, key)
	if !f.keep && f.phases < 2 {
		delete(f.objects, ref.ID)
	}
	return connect.Receipt{RequestID: "req-" + key}, nil
}

func (f *fake) Purge(_ context.Context, ref connect.Ref, key string) (connect.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keep {
		delete(f.objects, ref.ID)
	}
	return connect.Receipt{RequestID: "purge-" + key}, nil
}

func (f *fake) Probe(_ context.Context, ref connect.Ref) (connect.Presence, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return connect.Unknown, errDown
	}
	if _, ok := f.objects[ref.ID]; ok {
		return connect.Present, nil
	}
	return connect.Gone, nil
}
