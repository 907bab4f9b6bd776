package lint

import (
	"bytes"
	"fmt"
	"testing"
)

// The corrected example has nothing standing on its own day; the one as published
// has what testdata/as-published.txt lists. Rows: A1, A5, C5, E2, E4, E6.
func TestEksempel(t *testing.T) {
	corrected := plan(t, read(t, "../../examples/eksempel/tillid.yaml"))
	if r := Run(corrected, packs(t, corrected), corrected.Reviewed); len(r.Errors())+len(r.Warnings()) > 0 {
		t.Error(short(r))
	}

	published := plan(t, read(t, "../../examples/eksempel/as-published.yaml"))
	r := Run(published, packs(t, published), published.Reviewed)
	var b bytes.Buffer
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s %s\n", f.Severity, f.Rule, f.Path)
	}
	golden(t, "as-published.txt", b.Bytes())
	for _, id := range []string{"CK-01", "RE-02", "LB-02", "RC-02", "TR-01", "TX-04", "PHO-02", "LB-03", "CK-04", "CT-02", "RT-03"} {
		if !bytes.Contains(b.Bytes(), []byte(" "+id+" ")) {
			t.Errorf("the policy as published does not trigger %s", id)
		}
	}
}
