"""In the style of 1.x: the namespace first, the model before its name, data sets with a label, folded metrics, drawings at the end."""

import prov4ml
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

EPOCHS = 2

prov4ml.start_run(
    prov_user_namespace="www.example.org",
    experiment_name="experiment_name",
    provenance_save_dir="prov",
    save_after_n_logs=100,
    disable_codecarbon=True,
)

prov4ml.register_final_metric("MSE_test", 10, prov4ml.FoldOperation.MIN)
prov4ml.register_final_metric("MSE_train", 10, prov4ml.FoldOperation.MIN)
prov4ml.register_final_metric("steps", 0, lambda x, y: x + 1)


class DataLoader:
    """Batches of rows, in the form of torch's loader."""

    def __init__(self, dataset, batch_size):
        self.dataset, self.batch_size, self.num_workers = dataset, batch_size, 0

    def __len__(self):
        return -(-len(self.dataset[0]) // self.batch_size)

    def __iter__(self):
        x, y = self.dataset
        for start in range(0, len(y), self.batch_size):
            yield x[start : start + self.batch_size], y[start : start + self.batch_size]


tform = StandardScaler()
prov4ml.log_param("dataset transformation", tform)
digits = load_digits()
x, x_test, y, y_test = train_test_split(tform.fit_transform(digits.data), digits.target, random_state=0)
train_loader, test_loader = DataLoader((x, y), 256), DataLoader((x_test, y_test), 256)
prov4ml.log_dataset(train_loader, "train_dataset")
prov4ml.log_dataset(test_loader, "val_dataset")
prov4ml.log_param("optimizer", "SGD")
prov4ml.log_param("alpha", 0.0001)

model = SGDClassifier(random_state=0)
for epoch in range(EPOCHS):
    for batch, labels in train_loader:
        model.partial_fit(batch, labels, classes=range(10))
        loss = 1 - model.score(batch, labels)
        prov4ml.log_metric("MSE_train", loss, context=prov4ml.Context.TRAINING, step=epoch)
        prov4ml.log_metric("steps", 1, prov4ml.Context.TRAINING)
    prov4ml.log_system_metrics(prov4ml.Context.TRAINING, step=epoch)
    prov4ml.save_model_version(model, f"model_version_{epoch}", prov4ml.Context.TRAINING, epoch)
    prov4ml.log_metric("MSE_test", 1 - model.score(x_test, y_test), prov4ml.Context.VALIDATION, step=epoch)

prov4ml.log_artifact("notes.txt", prov4ml.Context.EVALUATION)
prov4ml.log_model(model, "mnist_model_final")
prov4ml.end_run(create_graph=True, create_svg=True)
