package db

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A dump is a stream of frames: one header, then each table with its rows, then
// the end, which counts them. It is the same whatever engine it came from.
const (
	dumpMagic = "tillid dump 1\n"

	frameHeader = 'H'
	frameTable  = 'T'
	frameRow    = 'R'
	frameEnd    = 'E'

	valueNull  = 0
	valueInt   = 1
	valueText  = 2
	valueBytes = 3
	valueFalse = 4
	valueTrue  = 5

	maxValue = 256 << 20
)

var errDump = errors.New("this is not a whole dump of a house")

// dumpHeader says what the rows were written with.
type dumpHeader struct {
	Engine     string            `json:"engine"`
	Migrations map[string]string `json:"migrations"` // digest by name
}

// dumpTable begins a table.
type dumpTable struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

type dumpWriter struct{ *bufio.Writer }

func (w dumpWriter) object(frame byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.WriteByte(frame) //nolint:errcheck // Flush says so
	w.bytes(b)
	return nil
}

func (w dumpWriter) bytes(b []byte) {
	var n [binary.MaxVarintLen64]byte
	w.Write(n[:binary.PutUvarint(n[:], uint64(len(b)))]) //nolint:errcheck // Flush says so
	w.Write(b)                                           //nolint:errcheck // a bufio.Writer keeps its first error for Flush
}

func (w dumpWriter) row(values []any) error {
	w.WriteByte(frameRow) //nolint:errcheck // Flush says so
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			w.WriteByte(valueNull) //nolint:errcheck // Flush says so
		case int64:
			var n [binary.MaxVarintLen64]byte
			w.WriteByte(valueInt)                  //nolint:errcheck // Flush says so
			w.Write(n[:binary.PutVarint(n[:], v)]) //nolint:errcheck // Flush says so
		case string:
			w.WriteByte(valueText) //nolint:errcheck // Flush says so
			w.bytes([]byte(v))
		case []byte:
			w.WriteByte(valueBytes) //nolint:errcheck // Flush says so
			w.bytes(v)
		case bool:
			tag := byte(valueFalse)
			if v {
				tag = valueTrue
			}
			w.WriteByte(tag) //nolint:errcheck // Flush says so
		case time.Time:
			w.WriteByte(valueText) //nolint:errcheck // Flush says so
			w.bytes([]byte(v.UTC().Format(timeLayout)))
		default:
			return fmt.Errorf("dump: a value of type %T", v)
		}
	}
	return nil
}

type dumpReader struct{ *bufio.Reader }

func (r dumpReader) frame() (byte, error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, errDump
	}
	return b, nil
}

func (r dumpReader) object(into any) error {
	b, err := r.bytes()
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func (r dumpReader) bytes() ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil || n > maxValue {
		return nil, errDump
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, errDump
	}
	return b, nil
}

// row reads one row into values.
func (r dumpReader) row(values []any) error {
	for i := range values {
		tag, err := r.ReadByte()
		if err != nil {
			return errDump
		}
		switch tag {
		case valueNull:
			values[i] = nil
		case valueInt:
			values[i], err = binary.ReadVarint(r)
		case valueText:
			var b []byte
			b, err = r.bytes()
			values[i] = string(b)
		case valueBytes:
			values[i], err = r.bytes()
		case valueFalse, valueTrue:
			values[i] = tag == valueTrue
		default:
			err = errDump
		}
		if err != nil {
			return errDump
		}
	}
	return nil
}
