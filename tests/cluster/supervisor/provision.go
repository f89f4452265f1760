package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	provisionerName = "local.db-backup.test"
	// The volume controller puts this on a claim when it is our turn, and wants the other on what we make.
	claimAnnotation  = "volume.kubernetes.io/storage-provisioner"
	volumeAnnotation = "pv.kubernetes.io/provisioned-by"
)

// provision makes a volume for each claim of StorageClass `local` until it is told to stop.
//
// It has no work queue: any event, and a slow tick for whatever failed, leads to one pass over everything that
// exists. A cluster of this size has a handful of claims, and a pass that starts from what is there cannot miss one.
func provision(s state) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", s.path("config", "provisioner.kubeconfig"))
	if err != nil {
		return fmt.Errorf("read the provisioner's kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make the provisioner's client: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	wake := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case wake <- struct{}{}:
		default: // a pass is already due
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: notify, DeleteFunc: notify, UpdateFunc: func(_, _ any) { notify(nil) }}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch claims and volumes: %w", err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	p := provisionerPass{s, client, claims.Lister(), volumes.Lister()}
	for {
		if err := p.run(ctx); err != nil {
			log.Print(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-time.After(5 * time.Second): // retries, and late removals
		}
	}
}

type provisionerPass struct {
	s       state
	client  kubernetes.Interface
	claims  listers.PersistentVolumeClaimLister
	volumes listers.PersistentVolumeLister
}

func (p provisionerPass) run(ctx context.Context) error {
	claims, err := p.claims.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list claims: %w", err)
	}
	var failures []error
	for _, claim := range claims {
		if claim.Annotations[claimAnnotation] == provisionerName && claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil {
			failures = append(failures, p.make(ctx, claim))
		}
	}
	volumes, err := p.volumes.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	for _, volume := range volumes {
		if volume.Annotations[volumeAnnotation] == provisionerName && released(volume) {
			err := p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				failures = append(failures, fmt.Errorf("delete volume %s: %w", volume.Name, err))
			}
		}
	}
	return errors.Join(append(failures, p.sweep(ctx))...)
}

func released(volume *corev1.PersistentVolume) bool {
	return volume.Status.Phase == corev1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
}

func (p provisionerPass) make(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	if _, err := p.volumes.Get(name); err == nil {
		return nil // made before; the volume controller has yet to bind it
	}
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock {
		return fmt.Errorf("claim %s/%s wants a raw block device, which StorageClass local does not have", claim.Namespace, claim.Name)
	}
	request := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if err := createVolume(p.s, name, request.Value()); err != nil {
		return err
	}
	directory := corev1.HostPathDirectory
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{volumeAnnotation: provisionerName}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: request},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: p.s.volumeDir(name), Type: &directory},
			},
		},
	}
	if claim.Spec.StorageClassName != nil {
		volume.Spec.StorageClassName = *claim.Spec.StorageClassName
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create volume %s: %w", name, err)
	}
	log.Printf("made %s (%s) for %s/%s", name, request.String(), claim.Namespace, claim.Name)
	return nil
}

// sweep removes what is on disk without an object. It asks the server, because the cache may not yet have heard
// of a volume that this very pass has made.
func (p provisionerPass) sweep(ctx context.Context) error {
	names, err := volumesOnDisk(p.s)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := p.volumes.Get(name); err == nil {
			continue
		}
		_, err := p.client.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			continue
		}
		if err := removeVolume(p.s, name); err != nil {
			return err
		}
		log.Printf("removed %s", name)
	}
	return nil
}
