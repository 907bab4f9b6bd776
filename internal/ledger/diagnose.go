package ledger

import (
	"context"
	"crypto/ed25519"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// maxShift is how many leaves deleted in one place are still recognised
	// when those after them were moved up to close the gap.
	maxShift = 64
	// maxOdd bounds the search for where leaves were moved from: each pair
	// costs two signature checks.
	maxOdd = 200
)

// diagnose names the leaves that are wrong, once walk has found that some are.
// It asks the seals: each is signed over one number and one leaf hash, so
// whoever rewrites the whole tree still cannot make one.
func (v *verifier) diagnose(ctx context.Context) error {
	before := len(v.faults)
	list, err := v.suspects(ctx)
	if err != nil {
		return err
	}
	d := &diagnosis{verifier: v, list: list}
	d.beside()
	d.follow()
	d.nameOdd()
	if err := v.unsigned(ctx); err != nil {
		return err
	}
	if len(v.faults) > before {
		return nil
	}
	for _, pos := range v.above {
		v.fault(-1, "", "The stored hash at position %d is missing or altered; the leaves below it are as signed.", pos)
	}
	if len(v.faults) == before {
		v.fault(-1, "", "The leaves do not give the root that was signed for %d leaves.", v.failed)
	}
	return nil
}

// suspect is what is stored under one number, reduced to what a diagnosis needs.
type suspect struct {
	id         string
	hash       tlog.Hash // of the bytes
	missing    bool
	consistent bool
	named      string // the leaf's id, as the stored hash names it
	seal       []byte
}

func (v *verifier) suspects(ctx context.Context) ([]suspect, error) {
	all := make([]suspect, 0, v.size)
	for first := int64(0); first < v.size; first += chunk {
		list, _, err := places(ctx, v.log.DB, first, min(first+chunk, v.size))
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			s := suspect{missing: p.leaf == nil}
			if !s.missing {
				s.id, s.hash, s.consistent = p.leaf.id, tlog.RecordHash(p.leaf.body), p.consistent()
			}
			if p.hash != nil {
				s.named, s.seal = p.hash.id, p.hash.seal
			}
			all = append(all, s)
		}
	}
	return all, nil
}

type diagnosis struct {
	*verifier
	list []suspect
	odd  []oddLeaf
}

// oddLeaf lies at place n of the list, where number should be, and is not it.
type oddLeaf struct{ n, number int64 }

// beside names leaves whose bytes a signed root covers, but whose columns do
// not agree with them.
func (d *diagnosis) beside() {
	for n, s := range d.list[:d.good] {
		if !s.consistent {
			d.fault(int64(n), s.id, "Its bytes are as signed, but what is stored beside them was altered.")
		}
	}
}

// follow goes through the places after the last good root and looks which
// number the leaf there was given: its own, or a later one when leaves before
// it were deleted and it was moved up.
func (d *diagnosis) follow() {
	shift, end := int64(0), int64(len(d.list))
	for n := d.good; n < end; n++ {
		s := d.list[n]
		switch {
		case s.missing && n >= end-shift: // moved up
		case s.missing:
			d.fault(n+shift, d.nameOf(n+shift), "It was deleted.")
		case d.is(n, n+shift):
			if shift == 0 && !s.consistent {
				d.fault(n, s.id, "Its bytes are as signed, but what is stored beside them was altered.")
			}
		case shift > 0 && n+shift < end && d.list[n+shift].seal == nil: // moved up, and its number's seal was deleted
		default:
			more := d.shifted(n, shift)
			for k := n + shift; k < n+shift+more; k++ {
				d.fault(k, d.nameOf(k), "It was deleted, and those after it were moved up.")
			}
			if shift += more; more == 0 {
				d.odd = append(d.odd, oddLeaf{n, n + shift})
			}
		}
	}
}

// shifted returns how many leaves were taken out before place n, 0 when that
// does not explain it: the leaf after n must have moved up as well.
func (d *diagnosis) shifted(n, shift int64) int64 {
	for more := int64(1); more <= maxShift && n+shift+more < int64(len(d.list)); more++ {
		next := n + 1
		if d.is(n, n+shift+more) && (next == int64(len(d.list)) || d.list[next].missing || d.is(next, next+shift+more)) {
			return more
		}
	}
	return 0
}

// is reports whether the leaf at place n was signed as number: its seal may
// have been moved with it or left in its place.
func (d *diagnosis) is(n, number int64) bool {
	s := d.list[n]
	if s.missing || number >= int64(len(d.list)) {
		return false
	}
	return d.log.Signer.checkSeal(number, s.hash, s.seal) || d.log.Signer.checkSeal(number, s.hash, d.list[number].seal)
}

// nameOf returns the id that the stored hash of a number still names, unless
// that leaf is there.
func (d *diagnosis) nameOf(number int64) string {
	if number >= int64(len(d.list)) {
		return ""
	}
	id := d.list[number].named
	for _, s := range d.list[max(0, number-maxShift):min(number+maxShift, int64(len(d.list)))] {
		if s.id == id {
			return ""
		}
	}
	return id
}

// nameOdd says of each odd leaf whether it was moved or altered.
func (d *diagnosis) nameOdd() {
	for _, o := range d.odd {
		s := d.list[o.n]
		from := d.origin(o)
		switch {
		case from >= 0:
			d.fault(o.number, s.id, "The order was changed: this leaf was number %d.", from)
		case len(s.seal) != ed25519.SignatureSize:
			d.fault(o.number, s.id, "Nothing shows that it is what was signed: its seal is gone.")
		default:
			d.fault(o.number, s.id, "It was altered.")
		}
	}
}

// origin returns the number that an odd leaf was signed as, or -1.
func (d *diagnosis) origin(o oddLeaf) int64 {
	if len(d.odd) > maxOdd {
		return -1
	}
	for _, other := range d.odd {
		if other.number != o.number && d.is(o.n, other.number) {
			return other.number
		}
	}
	return -1
}

// unsigned names leaves with numbers that no checkpoint covers.
func (v *verifier) unsigned(ctx context.Context) error {
	rows, err := v.log.DB.Query(ctx, `select idx, id from leaf where idx >= $1 order by idx`, v.size)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var id string
		if err := rows.Scan(&n, &id); err != nil {
			return err
		}
		v.fault(n, id, "It has a number that no checkpoint signed.")
	}
	return rows.Err()
}
