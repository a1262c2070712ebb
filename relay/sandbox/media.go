package sandbox

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"sync"
)

// Bounds of the files that accounts upload.
const (
	maxMedia      = 1 << 20 // bytes of a request
	maxMediaFiles = 20
)

// The errors of uploads (global return codes).
var (
	wxMediaType    = wxError{40004, "invalid media type"}
	wxMediaID      = wxError{40007, "invalid media_id"}
	wxMediaMissing = wxError{41005, "media data missing"}
)

// mediaTypes are the kinds of temporary files, with what they are labelled.
var mediaTypes = map[string]string{"image": "image/jpeg", "voice": "audio/amr", "video": "video/mp4", "thumb": "image/jpeg"}

// mediaFile is a temporary file of an account.
type mediaFile struct {
	ID, AppID, ContentType string
	Content                []byte
}

// mediaBox keeps temporary files. Safe for concurrent use.
type mediaBox struct {
	mu   sync.Mutex // guards list
	list []mediaFile
}

// add keeps a file and forgets the oldest above the limit.
func (b *mediaBox) add(f mediaFile) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, f)
	b.list = slices.Delete(b.list, 0, max(0, len(b.list)-maxMediaFiles))
}

// find finds a file of an account.
func (b *mediaBox) find(appID, id string) (mediaFile, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.list, func(f mediaFile) bool { return f.AppID == appID && f.ID == id })
	if i < 0 {
		return mediaFile{}, false
	}
	return b.list[i], true
}

// mediaReply is the answer to an upload.
type mediaReply struct {
	Type      string `json:"type"`
	MediaID   string `json:"media_id"`
	CreatedAt int64  `json:"created_at"`
}

// uploadMedia answers /cgi-bin/media/upload: a form with the file in the
// part named media.
func (s *Sandbox) uploadMedia(c *cgiCall) (any, *wxError) {
	kind := c.Query.Get("type")
	label, known := mediaTypes[kind]
	if !known {
		return nil, &wxMediaType
	}
	content := mediaPart(c)
	if len(content) == 0 {
		return nil, &wxMediaMissing
	}
	file := mediaFile{ID: "SANDBOX_MEDIA_" + s.randomHex(16), AppID: c.AppID, ContentType: label, Content: content}
	s.media.add(file)
	return mediaReply{kind, file.ID, s.now().Unix()}, nil
}

// mediaPart finds the part named media of a form; nothing when there is
// none.
func mediaPart(c *cgiCall) []byte {
	kind, parameters, err := mime.ParseMediaType(c.ContentType)
	if err != nil || kind != "multipart/form-data" {
		return nil
	}
	reader := multipart.NewReader(bytes.NewReader(c.Body), parameters["boundary"])
	for {
		part, err := reader.NextPart()
		if err != nil {
			return nil
		}
		if part.FormName() != "media" || part.FileName() == "" {
			continue
		}
		content, err := io.ReadAll(part) // the body, and so the part, is bounded
		if err != nil {
			return nil
		}
		return content
	}
}

// getMedia answers /cgi-bin/media/get with the file itself.
func (s *Sandbox) getMedia(c *cgiCall) (any, *wxError) {
	file, ok := s.media.find(c.AppID, c.Query.Get("media_id"))
	if !ok {
		return nil, &wxMediaID
	}
	return &file, nil
}

// writeMedia answers with a file, as a download.
func writeMedia(w http.ResponseWriter, f *mediaFile) {
	h := w.Header()
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Disposition", `attachment; filename="`+f.ID+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(f.Content) // a client that left is not our error
}
