package publish

import (
	"os"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/version"
)

var published = time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC)

func samplePlan(t *testing.T) *policy.Plan {
	t.Helper()
	src, err := os.ReadFile("testdata/tillid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, problems := policy.Parse("tillid.yaml", src, nil)
	for _, p := range problems {
		t.Error(p)
	}
	if plan == nil {
		t.FailNow()
	}
	return plan
}

func sampleVersion(plan *policy.Plan) version.Version {
	return version.Version{Number: 1, Hash: plan.Hash, Class: version.First, PublishedAt: published, EffectiveAt: published}
}

func TestSample(t *testing.T) {
	plan := samplePlan(t)
	e := &edition{plan: plan, version: sampleVersion(plan)}
	for _, sh := range e.assets() {
		os.WriteFile("/tmp/pubout/"+digest(sh.Content)+"."+sh.Format, sh.Content, 0o644)
	}
	for _, l := range plan.Languages {
		docs, err := Documents(plan, e.version, l)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			files, err := e.files(d)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				os.WriteFile("/tmp/pubout/"+version.ShownName(f.Document, f.Lang, f.Format), f.Content, 0o644)
			}
		}
	}
}
