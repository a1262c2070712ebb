package payv3

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1" //nolint:gosec // the hash that WeChat announces; the announcement itself is signed
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// MaxBill is the longest bill that is read, in bytes, packed and unpacked.
const MaxBill = 64 << 20

// billTimeout bounds one try of a download.
const billTimeout = 2 * time.Minute

// BillType says which rows a trade bill has.
type BillType string

// The types.
const (
	BillAll     BillType = "ALL"
	BillSuccess BillType = "SUCCESS"
	BillRefund  BillType = "REFUND"
)

// Conditions of a day's bill.
var (
	// ErrNoStatement says that nothing happened on the day.
	ErrNoStatement = errors.New("no bill of that day, nothing happened")
	// ErrStatementCreating says that WeChat is still at it; ask again later.
	ErrStatementCreating = errors.New("bill is not made yet")
)

// errBillHash says that the file is not the announced one.
var errBillHash = errors.New("file has another hash than announced")

// billReply says where a bill is.
type billReply struct {
	HashType    string `json:"hash_type"`
	HashValue   string `json:"hash_value"`
	DownloadURL string `json:"download_url"`
}

const billPath = "/v3/billdownload/file"

// TradeBill returns the rows of a day's trade bill, oldest first as WeChat
// writes them (v3.md section 14). The day is the Beijing day of the moment;
// its bill is there from about ten on the next day, for three months.
// subMchID picks one merchant of a service provider; empty means all.
// [ErrNoStatement] and [ErrStatementCreating] are its conditions.
func (c *Client) TradeBill(ctx context.Context, day time.Time, t BillType, subMchID string) ([]BillRow, error) {
	const op = "trade bill"
	if err := checkSubMchID(subMchID); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	target := "/v3/bill/tradebill?bill_date=" + beijing.Day(day) + "&bill_type=" + url.QueryEscape(string(t)) + "&tar_type=GZIP" + subMchIDQuery(subMchID)
	var hash []byte
	var file string
	_, err := getFor(ctx, c, call{op: op, method: http.MethodGet, target: target}, func(r *billReply) (err error) {
		hash, file, err = r.read()
		return err
	})
	if err != nil {
		return nil, billCondition(err)
	}
	packed, err := c.do(ctx, call{op: "download bill", method: http.MethodGet, target: file, file: true})
	if err != nil {
		return nil, err
	}
	rows, err := openBill(packed, hash, MaxBill)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return rows, nil
}

// read takes the announcement apart. Of the address only path and query are
// used, at the host that the client knows: what signs requests must not be
// sent wherever an answer says.
func (r *billReply) read() (hash []byte, target string, err error) {
	if r.HashType != "SHA1" {
		return nil, "", errors.New("hash_type is not SHA1")
	}
	if hash, err = hex.DecodeString(r.HashValue); err != nil || len(hash) != sha1.Size {
		return nil, "", errors.New("hash_value is not the hex of a SHA-1")
	}
	u, err := url.Parse(r.DownloadURL)
	if err != nil || !strings.HasSuffix(u.EscapedPath(), billPath) || u.RawQuery == "" || u.User != nil || u.Fragment != "" {
		return nil, "", errors.New("download_url is not that of a bill")
	}
	return hash, billPath + "?" + u.RawQuery, nil
}

// billCondition turns the refusals that are conditions of a day into theirs.
func billCondition(err error) error {
	refused, ok := errors.AsType[*APIError](err)
	if !ok {
		return err
	}
	switch refused.NormalCode() {
	case "NOSTATEMENTEXIST":
		return fmt.Errorf("%w: %w", ErrNoStatement, err)
	case "STATEMENTCREATING":
		return fmt.Errorf("%w: %w", ErrStatementCreating, err)
	}
	return err
}

// openBill unpacks a file and reads it in one go. The rows are given out only
// after the hash of all of the unpacked file was right, which may have limit
// bytes.
func openBill(packed, hash []byte, limit int64) ([]BillRow, error) {
	plain, err := unpack(packed)
	if err != nil {
		return nil, err
	}
	digest := sha1.New() //nolint:gosec // see the import
	hashed := io.TeeReader(&boundedReader{r: plain, left: limit}, digest)
	rows, err := parseBill(bufio.NewReader(hashed))
	// What is wrong with the form matters less than that it is not the file.
	if _, copyErr := io.Copy(io.Discard, hashed); copyErr != nil {
		return nil, fmt.Errorf("unpacking bill: %w", copyErr)
	}
	if subtle.ConstantTimeCompare(digest.Sum(nil), hash) != 1 {
		return nil, errBillHash
	}
	return rows, err
}

// unpack undoes GZIP, which is asked for, and takes a plain file too, which
// proxies that unpack leave.
func unpack(packed []byte) (io.Reader, error) {
	if !bytes.HasPrefix(packed, []byte{0x1f, 0x8b}) {
		return bytes.NewReader(packed), nil
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errors.New("file is not whole GZIP")
	}
	return r, nil
}

var errBillTooLong = errors.New("bill unpacks to more than a bill may have")

// boundedReader fails instead of ending early, so that a cut bill never looks
// like a whole one.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errBillTooLong
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errBillTooLong
	}
	return n, err
}
