package batch_test

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/protocoltest"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// schema reads batch.proto, which uses little of the language: flat messages of singular
// fields.
func schema(t *testing.T) protoreflect.MessageDescriptors {
	text, err := os.ReadFile("batch.proto")
	if err != nil {
		t.Fatal(err)
	}
	pkg := "fieldpost.batch.v1"
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("batch.proto"), Package: &pkg, Syntax: proto.String("proto3")}
	types := map[string]descriptorpb.FieldDescriptorProto_Type{
		"bytes": descriptorpb.FieldDescriptorProto_TYPE_BYTES, "string": descriptorpb.FieldDescriptorProto_TYPE_STRING,
		"uint32": descriptorpb.FieldDescriptorProto_TYPE_UINT32, "uint64": descriptorpb.FieldDescriptorProto_TYPE_UINT64,
		"int64": descriptorpb.FieldDescriptorProto_TYPE_INT64, "bool": descriptorpb.FieldDescriptorProto_TYPE_BOOL,
		"fixed32": descriptorpb.FieldDescriptorProto_TYPE_FIXED32,
	}
	for _, m := range regexp.MustCompile(`(?s)message (\w+) \{(.*?)\n\}`).FindAllSubmatch(text, -1) {
		msg := &descriptorpb.DescriptorProto{Name: proto.String(string(m[1]))}
		for _, f := range regexp.MustCompile(`(?m)^\s+(\w+) (\w+) = (\d+);`).FindAllSubmatch(m[2], -1) {
			n, err := strconv.Atoi(string(f[3]))
			if err != nil {
				t.Fatal(err)
			}
			field := &descriptorpb.FieldDescriptorProto{
				Name: proto.String(string(f[2])), Number: proto.Int32(int32(n)),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}
			if typ, ok := types[string(f[1])]; ok {
				field.Type = typ.Enum()
			} else {
				field.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
				field.TypeName = proto.String("." + pkg + "." + string(f[1]))
			}
			msg.Field = append(msg.Field, field)
		}
		file.MessageType = append(file.MessageType, msg)
	}
	d, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.Messages()
}

// A reader generated from batch.proto sees the same fields, and its deterministic writer
// makes the same bytes: the framing written by hand is proto3, and batch.proto is its schema.
func TestSchemaFileDescribesTheWire(t *testing.T) {
	messages := schema(t)
	read := func(name string, b []byte) *dynamicpb.Message {
		m := dynamicpb.NewMessage(messages.ByName(protoreflect.Name(name)))
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(m.GetUnknown()) > 0 {
			t.Fatalf("%s has fields that batch.proto does not name", name)
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s: a generated writer makes other bytes, %v", name, err)
		}
		return m
	}
	get := func(m *dynamicpb.Message, name string) protoreflect.Value {
		return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	vectors, err := protocoltest.Vectors()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		if v.Error != "" {
			continue
		}
		envelope := read("Envelope", v.Wire)
		h := read("Header", get(envelope, "header").Bytes())
		if len(get(envelope, "signature").Bytes()) != 64 {
			t.Errorf("%s: signature", v.Name)
		}
		if get(h, "version").Uint() != batch.Version || get(h, "seq").Uint() != v.Header.Seq || get(h, "created").Int() != v.Header.Created ||
			!bytes.Equal(get(h, "agent").Bytes(), v.Header.Agent[:]) || !bytes.Equal(get(h, "epoch").Bytes(), v.Header.Epoch[:]) ||
			!bytes.Equal(get(h, "catalog").Bytes(), v.Header.Catalog[:]) || !bytes.Equal(get(h, "consent").Bytes(), v.Header.Consent[:]) ||
			get(h, "simulated").Bool() != v.Header.Simulated || get(h, "zone").String() != v.Header.Zone || get(h, "tzdata").String() != v.Header.Tzdata ||
			get(h, "cells").Uint() != uint64(v.Header.Cells) || get(h, "raw_len").Uint() != uint64(v.Header.RawLen) || get(h, "raw_crc").Uint() != uint64(v.Header.RawCRC) {
			t.Errorf("%s: header reads %v", v.Name, h)
		}
		if v.Header.Seq > 1 && !bytes.Equal(get(h, "prev").Bytes(), v.Header.Prev[:]) {
			t.Errorf("%s: prev reads %x", v.Name, get(h, "prev").Bytes())
		}
		if o := v.Header.Open; o != nil {
			got := get(h, "open").Message().Interface().(*dynamicpb.Message)
			if get(got, "reason").Uint() != uint64(o.Reason) || get(got, "last_seq").Uint() != o.LastSeq {
				t.Errorf("%s: opening reads %v", v.Name, got)
			}
		}
		raw, err := batch.Columns(v.Cells)
		if err != nil {
			t.Fatal(err)
		}
		read("Columns", raw)
	}
}
