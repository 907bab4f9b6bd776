package lint

import (
	"embed"
	"fmt"
	"slices"
	"sync"

	"github.com/BurntSushi/toml"
)

//go:embed rule/*.toml
var ruleFiles embed.FS

// Rules returns the catalogue, in its order. The caller may not change it.
func Rules() []Rule { return catalogue() }

var catalogue = sync.OnceValue(func() []Rule {
	texts := map[string]Words{}
	readTables(ruleFiles, "rule", &texts)
	rules := table()
	for i := range rules {
		w, ok := texts[rules[i].ID]
		if !ok {
			panic("lint: no texts for " + rules[i].ID)
		}
		rules[i].Words = w
	}
	return rules
})

// readTables decodes every embedded TOML file of a folder into out, strictly.
func readTables(fs embed.FS, dir string, out any) {
	entries, err := fs.ReadDir(dir)
	if err != nil {
		panic(err) // embedded
	}
	for _, e := range entries {
		meta, err := toml.DecodeFS(fs, dir+"/"+e.Name(), out)
		if err == nil && len(meta.Undecoded()) > 0 {
			err = fmt.Errorf("unknown keys %v", meta.Undecoded())
		}
		if err != nil {
			panic(fmt.Sprintf("lint: %s: %v", e.Name(), err))
		}
	}
}

// rule returns the rule with that id, or nil.
func rule(id string) *Rule {
	rules := Rules()
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &rules[i]
}

// table is the catalogue. The rules of family LAW stand last but for SUP,
// because they look at the law values that the others have used.
func table() []Rule {
	return []Rule{
		// Legal bases.
		{ID: "LB-01", Severity: Error, Needs: Declared, Article: "Art. 6, 13(1)(c)", check: basisMissing},
		{ID: "LB-02", Severity: Error, Needs: Declared, Article: "Art. 6", check: claimOf("two_bases")},
		{ID: "LB-03", Severity: Error, Needs: Declared, Article: "Art. 13(1)(d)", check: interestMissing},
		{ID: "LB-04", Severity: Warning, Needs: Declared, Article: "Art. 6(1)(f)", check: balancingStale},
		{ID: "LB-05", Severity: Error, Needs: Declared, Article: "Art. 6(1)(c)", check: lawMissing},
		{ID: "LB-06", Severity: Warning, Needs: Declared, Article: "Art. 6, 7(4)", check: consentToBeAnswered},
		{ID: "LB-07", Severity: Error, Needs: Declared, Article: "Art. 9", check: specialWithoutCondition},
		{ID: "LB-08", Severity: Error, Needs: Declared, Article: "DBL § 11", check: groundMissing("cpr")},
		{ID: "LB-09", Severity: Error, Needs: Declared, Article: "Art. 10, DBL § 8", check: groundMissing("art10")},
		{ID: "LB-10", Severity: Warning, Needs: Declared, Article: "Art. 6(1)(b)", check: contractWithStranger},

		// Purposes.
		{ID: "PU-01", Severity: Error, Needs: Declared, Article: "Art. 5(1)(b)", check: purposeVague},
		{ID: "PU-02", Severity: Error, Needs: Declared, Article: "Art. 5(1)(c)", check: collectedUnused},
		{ID: "PU-03", Severity: Error, Needs: Declared, Article: "Art. 5(1)(b)", check: usedNeverCollected},
		{ID: "PU-04", Severity: Error, Needs: History, Article: "Art. 6(4), 13(3)"},
		{ID: "PU-05", Severity: Error, Needs: Declared, Article: "Art. 6, BEK 1148 § 3", check: joinedWithIdentity},
		{ID: "PU-06", Severity: Error, Needs: Declared, Article: "Art. 13(2)(f), 22", check: automatedUndeclared},

		// Retention.
		{ID: "RE-01", Severity: Error, Needs: Declared, Article: "Art. 5(1)(e), 13(2)(a)", check: retentionMissing},
		{ID: "RE-02", Severity: Error, Needs: Declared, Article: "Art. 13(2)(a)", check: claimOf("prose_retention")},
		{ID: "RE-03", Severity: Error, Needs: Declared, Article: "Art. 5(1)(e)", check: triggerNeverComes},
		{ID: "RE-04", Severity: Error, Needs: Declared, Article: "Art. 5(1)(e), 17", check: nobodyExecutes},
		{ID: "RE-05", Severity: Error, Needs: Declared, Article: "law pack", check: belowFloor},
		{ID: "RE-06", Severity: Error, Needs: Declared, Article: "Art. 5(1)(e); Datatilsynet", check: applicantsTooLong},
		{ID: "RE-07", Severity: Warning, Needs: Declared, Article: "Art. 25", check: unusuallyLong},
		{ID: "RE-08", Severity: Error, Needs: Declared, Article: "Art. 4(5); Taxa 4x35", check: notAnonymous},
		{ID: "RE-09", Severity: Warning, Needs: Declared, Article: "Art. 17, 32", check: backupsRemember},
		{ID: "RE-10", Severity: Error, Needs: Declared, Article: "Art. 5(1)(e)", check: rulesConflict},
		{ID: "RE-11", Severity: Info, Needs: History, Article: "Art. 5(2)"},
		{ID: "RE-12", Severity: Error, Needs: Declared, Article: "Art. 5(1)(e)", check: neverAtLatest},

		// Recipients.
		{ID: "RC-01", Severity: Error, Needs: Observed, Article: "Art. 13(1)(e)", check: serviceWithoutParty},
		{ID: "RC-02", Severity: Error, Needs: Declared, Article: "Art. 13(1)(e), 5(1)(a)", check: notOnlyWithConsent},
		{ID: "RC-03", Severity: Error, Needs: Declared, Article: "Art. 26, 28", check: roleMissing},
		{ID: "RC-04", Severity: Warning, Needs: Declared, Article: "Art. 26; C-40/17", check: embedAsProcessor},
		{ID: "RC-05", Severity: Warning, Needs: Declared, Article: "DBL § 13", check: cprUnchecked},
		{ID: "RC-06", Severity: Error, Needs: Declared, Article: "Art. 26; C-210/16", check: pageNotJoint},
		{ID: "RC-07", Severity: Warning, Needs: Declared, Article: "Art. 26(2), 12(1)", check: pageUnexplained},

		// Processors.
		{ID: "PR-01", Severity: Error, Needs: Declared, Article: "Art. 28(3)", check: agreementMissing},
		{ID: "PR-02", Severity: Error, Needs: Declared, Article: "Art. 28(3)(a–h)", check: clausesMissing},
		{ID: "PR-03", Severity: Error, Needs: Declared, Article: "Art. 28(9)", check: agreementNotProvable},
		{ID: "PR-04", Severity: Warning, Needs: Declared, Article: "Art. 28(2), (4)", check: authorisationMissing},
		{ID: "PR-05", Severity: Warning, Needs: History, Article: "Art. 28(1), 32", check: neverSupervised},
		{ID: "PR-06", Severity: Error, Needs: Declared, Article: "Art. 17, 19", check: cannotEraseThere},
		{ID: "PR-07", Severity: Warning, Needs: Declared, Article: "Art. 33(2)", check: breachToldLate},

		// Transfers.
		{ID: "TR-01", Severity: Error, Needs: Declared, Article: "Art. 44, 13(1)(f)", check: transferUndeclared},
		{ID: "TR-02", Severity: Error, Needs: Declared, Article: "Art. 45–46", check: notAdequate},
		{ID: "TR-03", Severity: Error, Needs: Declared, Article: "Art. 45", check: outOfScope},
		{ID: "TR-04", Severity: Error, Needs: Declared, Article: "Art. 45", check: certificationUnverified},
		{ID: "TR-05", Severity: Warning, Needs: Declared, Article: "Art. 45", check: adequacyShaky},
		{ID: "TR-06", Severity: Error, Needs: Declared, Article: "Art. 46", check: clausesUndocumented},
		{ID: "TR-07", Severity: Error, Needs: Declared, Article: "Art. 13(1)(f)", check: noCopyOfSafeguards},
		{ID: "TR-08", Severity: Warning, Needs: Observed, Article: "Art. 44"},
		{ID: "TR-09", Severity: Error, Needs: Declared, Article: "Art. 49", check: derogationAsHabit},

		// Cookies and other access to the device.
		{ID: "CK-01", Severity: Error, Needs: Declared, Article: "Art. 4(11), BEK 1148 § 3; C-673/17", check: claimOf("implied_consent")},
		{ID: "CK-02", Severity: Error, Needs: Declared, Article: "BEK 1148 § 4", check: calledNecessary},
		{ID: "CK-03", Severity: Error, Needs: Declared, Article: "BEK 1148 § 3", check: deviceWithoutConsent},
		{ID: "CK-04", Severity: Error, Needs: Declared, Article: "C-673/17 Planet49", check: cookieIncomplete},
		{ID: "CK-05", Severity: Warning, Needs: Declared, Article: "Art. 5(1)(e)", check: cookieTooLong},
		{ID: "CK-06", Severity: Error, Needs: Observed, Article: "Art. 7(3)"},
		{ID: "CK-07", Severity: Error, Needs: Declared, Article: "Art. 25(2), BEK 1148 § 3", check: ungated},
		{ID: "CK-08", Severity: Warning, Needs: Observed, Article: "BEK 1148"},
		{ID: "CK-09", Severity: Info, Needs: Declared, Article: "BEK 1148 § 3, 4", check: nothingToAsk},

		// Consent.
		{ID: "CO-01", Severity: Error, Needs: Declared, Article: "Art. 7(3), 13(2)(c)", check: withdrawalMissing},
		{ID: "CO-02", Severity: Error, Needs: Observed, Article: "Art. 7(3)"},
		{ID: "CO-03", Severity: Error, Needs: Observed, Article: "Art. 7(2)"},
		{ID: "CO-04", Severity: Error, Needs: Declared, Article: "Art. 7, recital 43", check: tickForSeveral},
		{ID: "CO-05", Severity: Error, Needs: Declared, Article: "Art. 7, recital 32; C-673/17", check: claimOf("preselected")},
		{ID: "CO-06", Severity: Warning, Needs: Declared, Article: "Art. 7(4)", check: consentDemanded},
		{ID: "CO-07", Severity: Error, Needs: Observed, Article: "Art. 7(1)"},
		{ID: "CO-08", Severity: Error, Needs: Declared, Article: "Art. 7(1), 5(1)(e); SmartResponse", check: proofTooLong},
		{ID: "CO-09", Severity: Error, Needs: Declared, Article: "Art. 8, DBL § 6", check: childrenConsent},
		{ID: "CO-10", Severity: Warning, Needs: Declared, Article: "Art. 7", check: refreshMissing},
		{ID: "CO-11", Severity: Error, Needs: Declared, Article: "Art. 7(3), 25(2); EDPB 03/2022", check: nagging},
		{ID: "CO-12", Severity: Error, Needs: Declared, Article: "Art. 6(1)(a), BEK 1148 § 3", check: interestUnasked},

		// Newsletters and marketing.
		{ID: "NL-01", Severity: Error, Needs: Declared, Article: "MFL § 10(1)", check: promiseIncomplete},
		{ID: "NL-02", Severity: Error, Needs: Declared, Article: "MFL § 10(1), (2)", check: marketingUnasked},
		{ID: "NL-03", Severity: Error, Needs: Declared, Article: "MFL § 10(3)", check: senderUnknown},
		{ID: "NL-04", Severity: Warning, Needs: Observed, Article: "RFC 8058"},
		{ID: "NL-05", Severity: Error, Needs: Observed, Article: "Art. 21(3)"},

		// Forms.
		{ID: "FO-01", Severity: Error, Needs: Declared, Article: "Art. 13", check: noticeMissing},
		{ID: "FO-02", Severity: Error, Needs: Declared, Article: "Art. 13(2)(e)", check: consequenceMissing},
		{ID: "FO-03", Severity: Warning, Needs: Declared, Article: "Art. 5(1)(c)", check: freeTextUnguarded},
		{ID: "FO-04", Severity: Error, Needs: Declared, Article: "Art. 14", check: indirectNoticeMissing},

		// Controller and rights.
		{ID: "CT-01", Severity: Error, Needs: Declared, Article: "Art. 13(1)(a)", check: controllerIncomplete},
		{ID: "CT-02", Severity: Error, Needs: Declared, Article: "Art. 13(1)(b), 37", check: dpoUnsaid},
		{ID: "RT-01", Severity: Error, Needs: Observed, Article: "Art. 12, 15–22"},
		{ID: "RT-02", Severity: Error, Needs: Declared, Article: "Art. 12(2)", check: channelMissing},
		{ID: "RT-03", Severity: Error, Needs: Declared, Article: "Art. 13(2)(d)", check: authorityMissing},
		{ID: "RT-04", Severity: Error, Needs: Declared, Article: "Art. 12(3)", check: answeredLate},
		{ID: "RT-05", Severity: Error, Needs: Observed, Article: "Art. 21(4)"},
		{ID: "RT-06", Severity: Warning, Needs: Declared, Article: "Art. 12(6)", check: identityDemanded},

		// Applications, pictures, telephone.
		{ID: "JA-01", Severity: Error, Needs: Declared, Article: "Art. 13", check: applicantNotTold},
		{ID: "JA-02", Severity: Error, Needs: Declared, Article: "Art. 7; Datatilsynet", check: keptForLater},
		{ID: "JA-03", Severity: Warning, Needs: Declared, Article: "Art. 6(1)(f); Kræftens Bekæmpelse", check: processOnConsent},
		{ID: "PHO-01", Severity: Error, Needs: Observed, Article: "Art. 6"},
		{ID: "PHO-02", Severity: Warning, Needs: Declared, Article: "Datatilsynet 2019", check: claimOf("photo_exemption")},
		{ID: "PHO-03", Severity: Error, Needs: Declared, Article: "Art. 13–14, 21", check: depictedNotTold},
		{ID: "PHO-04", Severity: Warning, Needs: Observed, Article: "Datatilsynet 2019"},
		{ID: "PH-01", Severity: Error, Needs: Observed, Article: "TDC 2019"},

		// Versions, and agreements with customers.
		{ID: "VN-01", Severity: Error, Needs: History, Article: "Art. 13(3)"},
		{ID: "VN-02", Severity: Error, Needs: Observed, Article: "Art. 7"},
		{ID: "VN-03", Severity: Error, Needs: Observed, Article: "Art. 5(2)"},
		{ID: "DP-01", Severity: Error, Needs: Declared, Article: "Art. 28(3)", check: customerAgreementIncomplete},
		{ID: "DP-02", Severity: Error, Needs: History, Article: "Art. 28(2)"},
		{ID: "DP-03", Severity: Warning, Needs: Declared, Article: "Art. 28(8)", check: notTheStandardClauses},

		// Texts and security.
		{ID: "TX-01", Severity: Error, Needs: Declared, Article: "Art. 12(1)", check: translationMissing},
		{ID: "TX-02", Severity: Warning, Needs: Declared, Article: "Art. 12(1)", check: languagesDiffer},
		{ID: "TX-03", Severity: Warning, Needs: Declared, Article: "Art. 12(1)", check: hardToRead},
		{ID: "TX-04", Severity: Warning, Needs: Declared, Article: "Art. 5(1)(d)", check: staleNames},
		{ID: "TX-05", Severity: Warning, Needs: Declared, Article: "Art. 12(1)", check: languageUnreviewed},
		{ID: "SEC-01", Severity: Error, Needs: Observed, Article: "Art. 32", check: unencrypted},
		{ID: "SEC-02", Severity: Warning, Needs: Observed, Article: "Art. 32", check: secondFactorOff},
		{ID: "SEC-03", Severity: Error, Needs: Declared, Article: "Art. 32, 5(1)(f)", check: identityInStatistics},

		// The law packs themselves.
		{ID: "LAW-01", Severity: Info, Needs: Declared, Article: "law pack", check: lawChanges},
		{ID: "LAW-02", Severity: Warning, Needs: Declared, Article: "law pack", check: packOld},
		{ID: "LAW-03", Severity: Warning, Needs: Declared, Article: "law pack", check: lawUnchecked},

		// Suppressions; see suppress.go.
		{ID: "SUP-01", Severity: Warning, Needs: Declared, Article: "Art. 5(2)", check: decidedElsewhere},
		{ID: "SUP-02", Severity: Info, Needs: Declared, Article: "Art. 5(2)", check: decidedElsewhere},
	}
}

// decidedElsewhere stands for the rules about suppressions, which need all other findings first.
func decidedElsewhere(*Context, *found) {}
