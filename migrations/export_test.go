package migrations

import (
	"context"
	"io/fs"
)

// Embedded is what this binary carries; tests put more on top to play a newer one.
var Embedded = embedded

func UpTo(ctx context.Context, files fs.FS, url string) error { return up(ctx, files, url, "") }

func DownFrom(ctx context.Context, files fs.FS, url string) error { return down(ctx, files, url, "") }

func CheckAs(ctx context.Context, q Querier, binary int) error { return check(ctx, q, binary) }
