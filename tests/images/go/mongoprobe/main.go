// Command mongoprobe fills a MongoDB server and prints what it holds, so that a test can compare two servers as text.
//
//	mongoprobe URI ping              one authenticated round trip
//	mongoprobe URI create DB COLL    an empty collection
//	mongoprobe URI insert DB COLL    documents from standard input, one extended JSON document a line
//	mongoprobe URI dump [DB]         every document: database, tab, collection, tab, canonical extended JSON
//	mongoprobe URI drop DB
//
// The order of dump is that of the names' bytes, then of the _id's canonical JSON: it depends on content alone. A
// collection without documents is a line of its own that ends after the collection. The databases admin, config and
// local belong to the server and are left out.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// batch of documents per insert command.
const batch = 500

// longestLine in bytes: MongoDB's largest document is 16 MiB, and JSON is longer than BSON.
const longestLine = 64 << 20

// patience with the server as a whole: a test should fail with a sentence rather than hang.
const patience = 5 * time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mongoprobe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("usage: mongoprobe URI ping|create DB COLL|insert DB COLL|dump [DB]|drop DB")
	}
	client, err := mongo.Connect(options.Client().ApplyURI(args[0]).SetServerSelectionTimeout(10 * time.Second))
	if err != nil {
		return err
	}
	defer client.Disconnect(ctx) //nolint:errcheck // the process ends anyway
	command, args := args[1], args[2:]
	switch {
	case command == "ping" && len(args) == 0:
		// Not the command `ping`: a server may answer that one without authentication.
		_, err = client.ListDatabaseNames(ctx, bson.D{})
		return err
	case command == "create" && len(args) == 2:
		return client.Database(args[0]).CreateCollection(ctx, args[1])
	case command == "insert" && len(args) == 2:
		return insert(ctx, client.Database(args[0]).Collection(args[1]))
	case command == "dump" && len(args) <= 1:
		return dump(ctx, client, args)
	case command == "drop" && len(args) == 1:
		return client.Database(args[0]).Drop(ctx)
	}
	return fmt.Errorf("unknown command, or wrong number of arguments for it: %s", command)
}

func insert(ctx context.Context, collection *mongo.Collection) error {
	var documents []any
	flush := func() error {
		if len(documents) == 0 {
			return nil
		}
		_, err := collection.InsertMany(ctx, documents)
		documents = nil
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longestLine)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var document bson.D
		if err := bson.UnmarshalExtJSON(lines.Bytes(), false, &document); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if documents = append(documents, document); len(documents) == batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return flush()
}

func dump(ctx context.Context, client *mongo.Client, databases []string) error {
	if len(databases) == 0 {
		all, err := client.ListDatabaseNames(ctx, bson.D{})
		if err != nil {
			return err
		}
		databases = slices.DeleteFunc(all, func(name string) bool {
			return name == "admin" || name == "config" || name == "local"
		})
	}
	slices.Sort(databases)
	out := bufio.NewWriter(os.Stdout)
	for _, database := range databases {
		collections, err := client.Database(database).ListCollectionNames(ctx, bson.D{})
		if err != nil {
			return fmt.Errorf("%s: %w", database, err)
		}
		slices.Sort(collections)
		for _, collection := range collections {
			documents, err := sorted(ctx, client.Database(database).Collection(collection))
			if err != nil {
				return fmt.Errorf("%s.%s: %w", database, collection, err)
			}
			if len(documents) == 0 {
				fmt.Fprintf(out, "%s\t%s\n", database, collection)
			}
			for _, d := range documents {
				fmt.Fprintf(out, "%s\t%s\t%s\n", database, collection, d.json)
			}
		}
	}
	return out.Flush()
}

type document struct{ id, json []byte }

// sorted returns a collection's documents in the order of their _id's JSON. Not the server's order, which an
// implementation may define otherwise for values of different types.
func sorted(ctx context.Context, collection *mongo.Collection) ([]document, error) {
	cursor, err := collection.Find(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	defer cursor.Close(ctx) //nolint:errcheck // read to its end, or the error is another
	var documents []document
	for cursor.Next(ctx) {
		json, err := bson.MarshalExtJSON(cursor.Current, true, false)
		if err != nil {
			return nil, err
		}
		id, err := bson.MarshalExtJSON(bson.D{{Key: "_id", Value: cursor.Current.Lookup("_id")}}, true, false)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document{id: id, json: json})
	}
	slices.SortFunc(documents, func(a, b document) int { return bytes.Compare(a.id, b.id) })
	return documents, cursor.Err()
}
