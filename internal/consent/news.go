package consent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"

	"github.com/tillid/tillid/internal/version"
)

// newsDocument begins the names of archived questions about news. They are not
// among the banners of a version: each was asked of whoever had answered before.
const newsDocument = "asked-"

const newsFile = "banner-news.json"

// maxNews is how many different questions about news a process archives. What is
// beyond has its digest in its leaves, and no bytes in the archive.
const maxNews = 1000

// news remembers which questions this process has archived.
type news struct {
	mu   sync.Mutex
	kept map[string]bool
}

func (n *news) add(digest string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil {
		n.kept = map[string]bool{}
	}
	n.kept[digest] = true
}

// wants reports whether a question is still to be archived.
func (n *news) wants(digest string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.kept[digest] && len(n.kept) < maxNews
}

// asked archives the question that a visitor was asked who had answered before, and
// so was asked only about what is new or has grown, and returns its digest; "" when
// the banner that was answered is the one that everybody gets, or none was.
func (s *Service) asked(ctx context.Context, o *offer, before State, c choice) (digest string, err error) {
	if c.unseen || c.layer != "banner" || before.Decided || !before.some() && !grown(before.answers) {
		return "", nil
	}
	q := o.question(c.lang, before)
	if q == nil {
		return "", nil
	}
	words, err := json.Marshal(q) // as it comes with the page
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(words)
	b, err := encodeShown(Shown{Format: ShownFormat, Language: c.lang, Files: []ShownFile{{newsFile, "application/json", "", hex.EncodeToString(sum[:]), string(words)}}})
	if err != nil {
		return "", err
	}
	sum = sha256.Sum256(b)
	digest = hex.EncodeToString(sum[:])
	if s.Keep == nil || !s.news.wants(digest) {
		return digest, nil
	}
	if err := s.Keep(ctx, version.Shown{Document: newsDocument + digest[:12], Lang: c.lang, Format: "json", Content: b}); err != nil {
		return "", err
	}
	s.news.add(digest)
	return digest, nil
}
