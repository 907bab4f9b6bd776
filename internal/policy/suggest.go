package policy

import "strings"

// meant returns "Did you mean …?" when one of words, and no other, is closest to
// have; else other.
func meant(have string, words []string, other string) string {
	best, least := "", 3
	for _, w := range words {
		n := distance(strings.ToLower(have), strings.ToLower(w), least+1)
		if 2*n >= len(w) { // half of it would be replaced: that is another word
			continue
		}
		if n < least {
			best, least = w, n
		} else if n == least {
			best = ""
		}
	}
	if best == "" {
		return other
	}
	return "Did you mean " + best + "?"
}

// distance is the number of letters to put in, take out, replace or swap with
// the next (Damerau–Levenshtein), or limit when it is that or more.
func distance(a, b string, limit int) int {
	const longest = 100
	if len(a) > len(b)+limit || len(b) > len(a)+limit || len(b) > longest {
		return limit
	}
	var rows [3][longest + 1]int
	before, row, next := rows[0][:], rows[1][:], rows[2][:]
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return min(row[len(b)], limit)
}
