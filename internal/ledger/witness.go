package ledger

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Witness cosigns checkpoints of logs that it knows, each only when it extends what
// the witness has seen of that log before (https://c2sp.org/tlog-witness). It runs
// apart from the houses, by somebody else; its memory is one file in its folder.
type Witness struct {
	Now func() time.Time

	name  string
	key   ed25519.PrivateKey
	logs  map[string]string // origin → verifier key
	file  string
	mu    sync.Mutex
	known map[string]sighting
}

// sighting is the latest that was cosigned of a log.
type sighting struct {
	Size       int64  `json:"size"`
	Root       string `json:"root"`
	Checkpoint string `json:"checkpoint"`
}

// algCosignature is the type of keys that cosign (https://c2sp.org/tlog-cosignature).
const algCosignature = 4

// OpenWitness opens the witness in dir, or makes one with a new key called name.
// logs are the verifier keys of the logs that it watches; a log's origin is its key's name.
func OpenWitness(dir, name string, logs []string, now func() time.Time) (*Witness, error) {
	w := &Witness{Now: now, logs: map[string]string{}, file: filepath.Join(dir, "witness.json"), known: map[string]sighting{}}
	for _, vkey := range logs {
		origin, _, ok := strings.Cut(vkey, "+")
		if _, err := note.NewVerifier(vkey); !ok || err != nil {
			return nil, fmt.Errorf("%q is not a log's verifier key", vkey)
		}
		w.logs[origin] = vkey
	}
	if err := w.openKey(filepath.Join(dir, "witness.key"), name); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(w.file) //nolint:gosec // the folder is whoever runs the witness's own
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &w.known)
	}
	if err != nil {
		return nil, fmt.Errorf("read what the witness has seen: %w", err)
	}
	return w, nil
}

func (w *Witness) openKey(file, name string) error {
	b, err := os.ReadFile(file) //nolint:gosec // the folder is whoever runs the witness's own
	if errors.Is(err, os.ErrNotExist) {
		if name == "" || strings.ContainsAny(name, " +\n") {
			return fmt.Errorf("a new witness needs a name without spaces and plus, not %q", name)
		}
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed)
		b = []byte(name + " " + base64.StdEncoding.EncodeToString(seed) + "\n")
		if err := writeDurably(file, b, 0o600); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("read the witness's key: %w", err)
	}
	kept, encoded, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	seed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(seed) != ed25519.SeedSize {
		return errors.New("the witness's key file is damaged")
	}
	w.name, w.key = kept, ed25519.NewKeyFromSeed(seed)
	return nil
}

// Verifier returns the witness's public key in the note format.
func (w *Witness) Verifier() string {
	public := w.public()
	return fmt.Sprintf("%s+%08x+%s", w.name, cosignerID(w.name, public), base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, public...)))
}

func (w *Witness) public() ed25519.PublicKey { return ed25519.PublicKey(w.key[ed25519.SeedSize:]) }

func cosignerID(name string, public ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n\x04"), public...))
	return binary.BigEndian.Uint32(sum[:])
}

const maxSubmission = 64 << 10

// submission is what a log asks to have cosigned.
type submission struct {
	old   int64
	proof tlog.TreeProof
	note  string
}

// ServeHTTP answers POST /add-checkpoint and GET /vkey.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/vkey":
		fmt.Fprintln(rw, w.Verifier())
	case r.Method != http.MethodPost || r.URL.Path != "/add-checkpoint":
		http.Error(rw, "A witness answers POST /add-checkpoint and GET /vkey.", http.StatusNotFound)
	default:
		w.addCheckpoint(rw, r)
	}
}

// refusal is an answer other than a cosignature.
type refusal struct {
	status int
	text   string
	size   bool // the text is the size that the witness has seen
}

func (w *Witness) addCheckpoint(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxSubmission))
	if err != nil {
		http.Error(rw, "The request is too long.", http.StatusRequestEntityTooLarge)
		return
	}
	in, err := readSubmission(body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	line, no := w.cosign(in)
	switch {
	case no != nil && no.size:
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(no.status)
		fmt.Fprintln(rw, no.text)
	case no != nil:
		http.Error(rw, no.text, no.status)
	default:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(rw, line)
	}
}

// readSubmission reads the body of add-checkpoint: "old" and a size, hashes of the
// consistency proof, an empty line, and the checkpoint.
func readSubmission(body []byte) (in submission, err error) {
	head, signed, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return in, errors.New("there is no empty line before the checkpoint")
	}
	lines := bufio.NewScanner(bytes.NewReader(head))
	for n := 0; lines.Scan(); n++ {
		if n == 0 {
			size, ok := strings.CutPrefix(lines.Text(), "old ")
			if in.old, err = strconv.ParseInt(size, 10, 64); !ok || err != nil || in.old < 0 || strconv.FormatInt(in.old, 10) != size {
				return in, errors.New("the first line is not the old size")
			}
			continue
		}
		h, err := tlog.ParseHash(lines.Text())
		if err != nil || n > 63 {
			return in, errors.New("a line of the consistency proof is not a hash")
		}
		in.proof = append(in.proof, h)
	}
	in.note = string(signed)
	return in, nil
}

// cosign checks a submission and answers with the signature line.
func (w *Witness) cosign(in submission) (string, *refusal) {
	text, _, ok := strings.Cut(in.note, "\n\n")
	origin, _, _ := strings.Cut(text, "\n")
	vkey, known := w.keyOf(origin)
	if !ok || !known {
		return "", &refusal{status: http.StatusNotFound, text: "This witness does not know that log."}
	}
	_, tree, err := openCheckpoint([]byte(in.note), vkey)
	if err != nil {
		return "", &refusal{status: http.StatusForbidden, text: "The log did not sign that checkpoint."}
	}
	if in.old > tree.N {
		return "", &refusal{status: http.StatusBadRequest, text: "The old size is larger than the checkpoint's."}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.known[origin]
	if no := consistent(before, in, tree); no != nil {
		return "", no
	}
	if err := w.remember(origin, sighting{tree.N, tree.Hash.String(), in.note}); err != nil {
		return "", &refusal{status: http.StatusInternalServerError, text: "The witness cannot remember just now."}
	}
	return w.line(text + "\n"), nil
}

// keyOf returns the key of a log by its name: the key's own, or, after a restore,
// that with a slash and more behind it. Each name is a log of its own.
func (w *Witness) keyOf(origin string) (vkey string, known bool) {
	if vkey, known = w.logs[origin]; known {
		return vkey, true
	}
	cut := strings.LastIndexByte(origin, '/')
	if cut < 0 {
		return "", false
	}
	vkey, known = w.logs[origin[:cut]]
	return vkey, known
}

// consistent refuses what does not extend what was seen before.
func consistent(before sighting, in submission, tree tlog.Tree) *refusal {
	if in.old != before.Size {
		return &refusal{status: http.StatusConflict, text: strconv.FormatInt(before.Size, 10), size: true}
	}
	bad := &refusal{status: http.StatusUnprocessableEntity, text: "The checkpoint does not extend what this witness has seen of the log."}
	if in.old == 0 || in.old == tree.N {
		if len(in.proof) > 0 {
			return bad
		}
		if in.old > 0 && before.Root != tree.Hash.String() {
			return &refusal{status: http.StatusConflict, text: strconv.FormatInt(before.Size, 10), size: true}
		}
		return nil
	}
	root, err := tlog.ParseHash(before.Root)
	if err != nil || tlog.CheckTree(in.proof, tree.N, tree.Hash, in.old, root) != nil {
		return bad
	}
	return nil
}

// remember makes a sighting durable before anything is signed.
func (w *Witness) remember(origin string, s sighting) error {
	was, had := w.known[origin]
	w.known[origin] = s
	b, err := json.MarshalIndent(w.known, "", "  ")
	if err == nil {
		err = writeDurably(w.file, append(b, '\n'), 0o600)
	}
	if err != nil {
		if delete(w.known, origin); had {
			w.known[origin] = was
		}
	}
	return err
}

// line signs a checkpoint's text with the time.
func (w *Witness) line(text string) string {
	at := uint64(w.Now().Unix())
	sig := binary.BigEndian.AppendUint32(nil, cosignerID(w.name, w.public()))
	sig = binary.BigEndian.AppendUint64(sig, at)
	sig = append(sig, ed25519.Sign(w.key, cosigned(at, text))...)
	return "— " + w.name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
}

func cosigned(at uint64, text string) []byte {
	return []byte("cosignature/v1\ntime " + strconv.FormatUint(at, 10) + "\n" + text)
}

// writeDurably replaces a file, so that after a crash it is the old or the new one.
func writeDurably(name string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name) //nolint:gosec // the folder is whoever runs the witness's own
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
